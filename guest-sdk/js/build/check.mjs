// Loads a bundle as Node does, and tells what it holds, or how its loading failed: as JSON on standard output. A process of its own, for a
// bundle replaces globals.

import { pathToFileURL } from "node:url";

const print = process.stdout.write.bind(process.stdout);

try {
    const { guest } = await import(pathToFileURL(process.argv[2]));
    print(JSON.stringify({ manifest: guest.describe() }));
} catch (error) {
    print(JSON.stringify({ message: String(error?.message ?? error), stack: String(error?.stack ?? "") }));
}
