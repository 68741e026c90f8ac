// Builds a module from orchestrators in JavaScript or TypeScript: `node build.mjs --tools DIR --wit DIR PROJECT OUT`.
//
// `tools` is where package.json of this folder is installed; `wit` holds the contract. What goes wrong is told in one message on standard
// error, after `error: `, with exit code 1.

import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { builtinModules, createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs, promisify } from "node:util";

import { framesOf } from "../src/stack.js";
import { BuildError, sourcesOf, stemOf } from "./project.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const SDK = resolve(HERE, "../src");
/** The packages whose place the SDK takes. */
const OURS = /^(durable-functions|fermata-guest)$/;
const NO_TRIGGERS = "a guest has no triggers: clients start instances and raise events over the host's HTTP API";

async function main() {
    const { values, positionals } = parseArgs({
        allowPositionals: true,
        options: { tools: { type: "string" }, wit: { type: "string" } },
    });
    const [project, out] = positionals.map((path) => resolve(path));
    const tool = createRequire(pathToFileURL(join(values.tools, "package.json")));
    const sources = await sourcesOf(project);
    const folder = (await stat(project)).isDirectory() ? project : dirname(project);
    const { text, map } = await bundled(tool("esbuild"), sources, folder);
    const bundle = `${text}\nglobalThis.__fermataPlaces = ${JSON.stringify(places(tool("@jridgewell/sourcemap-codec"), map, folder))};\n`;
    const made = await componentized(tool("componentize-qjs"), bundle, values.wit);
    await writeFile(out, made);
}

/** One file of everything: the SDK, the user's files and what they import. */
async function bundled(esbuild, sources, folder) {
    const imports = sources.map((path, index) => `import * as file${index} from ${JSON.stringify(path)};`);
    const registers = sources.map((path, index) => `registerExports(${JSON.stringify(stemOf(path))}, file${index});`);
    const entry = [
        `import ${JSON.stringify(join(SDK, "globals.js"))};`,
        `import { registerExports } from ${JSON.stringify(join(SDK, "app.js"))};`,
        ...imports,
        ...registers,
        `export { guest } from ${JSON.stringify(join(SDK, "guest.js"))};`,
    ];
    const options = {
        stdin: { contents: entry.join("\n"), resolveDir: folder, sourcefile: "fermata-entry.js" },
        absWorkingDir: folder,
        bundle: true,
        write: false,
        outfile: join(folder, "module.js"),
        sourcemap: "external",
        format: "esm",
        platform: "neutral",
        mainFields: ["module", "main"],
        conditions: ["module"],
        target: "es2022",
        // Lowered, all that is `async` goes by the SDK's own promises, whose jobs are run in an order that replays.
        supported: { "async-await": false, "async-generator": false, "for-await": false, "top-level-await": false },
        external: ["fermata:*", "wasi:*"],
        define: { "process.env.NODE_ENV": '"production"' },
        logLevel: "silent",
        plugins: [replacements],
    };
    try {
        const { outputFiles } = await esbuild.build(options);
        const [map, module] = [".map", ".js"].map((end) => outputFiles.find(({ path }) => path.endsWith(end)).text);
        return { text: module, map: JSON.parse(map) };
    } catch (failed) {
        const messages = (failed.errors ?? [{ text: failed.message }]).map((message) => ({ ...message, notes: hints(message) }));
        throw new BuildError((await esbuild.formatMessages(messages, { kind: "error" })).join("").trim());
    }
}

/** What to do about an error of the bundler's, whose own notes are about options that nobody has here. */
function hints({ text }) {
    const [, name] = /^Could not resolve "([^."/][^"]*)"/.exec(text) ?? [];
    return name ? [{ text: `If it is a package, install it: npm install ${name}` }] : [];
}

/**
 * Where the lines of the bundle come from, for the stacks of errors: files, and for each line on which that changes `[line, file, line there]`.
 * The SDK's own lines have no file.
 */
function places({ decode }, map, folder) {
    const files = map.sources.map((source) => {
        const path = resolve(folder, source);
        return path.startsWith(SDK) || source === "fermata-entry.js" ? "" : relative(folder, path);
    });
    const runs = [];
    decode(map.mappings).forEach((segments, line) => {
        const [, source, sourceLine] = segments.find((segment) => segment.length > 1) ?? [];
        if (source !== undefined) {
            runs.push(files[source] ? [line + 1, source, sourceLine + 1] : [line + 1, -1, 0]);
        }
    });
    const isNext = ([line, file, at], [before, fileBefore, atBefore]) => file === fileBefore && (file < 0 || at - atBefore === line - before);
    return { files, runs: runs.filter((run, index) => index === 0 || !isNext(run, runs[index - 1])) };
}

/** The SDK in the place of the packages it stands for, and words in the place of what a guest has not. */
const replacements = {
    name: "fermata",
    setup(build) {
        build.onResolve({ filter: OURS }, () => ({ path: join(SDK, "index.js") }));
        build.onResolve({ filter: /^@azure\/functions$/ }, ({ path }) => ({ path, namespace: "absent", pluginData: NO_TRIGGERS }));
        build.onResolve({ filter: /^[a-z_/:0-9]+$/ }, async ({ path, resolveDir, pluginData, ...rest }) => {
            const name = path.replace(/^node:/, "");
            if (pluginData === "asked" || !builtinModules.includes(name)) {
                return undefined;
            }
            // A package of that name, such as `buffer`, goes before.
            const found = path === name && (await build.resolve(path, { resolveDir, kind: rest.kind, pluginData: "asked" }));
            return found && found.errors.length === 0 ? found : { path: name, namespace: "absent" };
        });
        build.onLoad({ filter: /.*/, namespace: "absent" }, ({ path, pluginData }) => ({
            contents: `module.exports = require(${JSON.stringify(join(SDK, "absent.js"))}).absentModule(${JSON.stringify(path)}, ${JSON.stringify(pluginData)});`,
            resolveDir: SDK,
        }));
    },
};

/** The component: the bundle, evaluated, in the memory of a JavaScript engine. */
async function componentized({ componentize }, jsSource, contract) {
    const folder = await mkdtemp(join(tmpdir(), "fermata-js-"));
    try {
        await check(jsSource, folder);
        const wit = join(folder, "wit");
        await mkdir(join(wit, "deps"), { recursive: true });
        await copyFile(join(contract, "orchestration.wit"), join(wit, "orchestration.wit"));
        await copyFile(join(HERE, "wit/javascript.wit"), join(wit, "javascript.wit"));
        await copyFile(join(HERE, "wit/deps/random.wit"), join(wit, "deps/random.wit"));
        const jsPath = join(folder, "module.js");
        await writeFile(jsPath, jsSource);
        const options = { witPath: wit, world: "javascript", jsSource, jsPath, moduleRoot: folder, sync: true };
        return (await componentize(options).catch((failed) => refuse(failed.message))).component;
    } finally {
        await rm(folder, { recursive: true, force: true });
    }
}

/** Loads the bundle here first: what Node says of an error is more than the engine does. */
async function check(jsSource, folder) {
    const path = join(folder, "check.mjs");
    await writeFile(path, jsSource.replace(/^import (\w+) from "(fermata|wasi):.*$/gm, "const $1 = undefined;"));
    const { stdout } = await promisify(execFile)(process.execPath, [join(HERE, "check.mjs"), path]);
    const { manifest, message, stack } = JSON.parse(stdout);
    if (!manifest) {
        refuse(message, placesIn(jsSource, stack));
    }
    if (manifest.orchestrators.length + manifest.activities.length === 0) {
        throw new BuildError(
            "there is no orchestrator and no activity in this project: `df.app.orchestration(name, function* (context) { … })` makes one, or `module.exports = df.orchestrator(…)`",
        );
    }
}

function refuse(reason, place = "") {
    // The engine tells what it was doing before what went wrong.
    const said = reason.replace(/^.*JavaScript module evaluation: /s, "").trim();
    throw new BuildError(`the code fails as soon as it is loaded: ${[said, place].filter(Boolean).join("\n")}`);
}

/** The user's own lines of a stack that Node has written. */
function placesIn(jsSource, stack) {
    globalThis.__fermataPlaces = JSON.parse(jsSource.slice(jsSource.lastIndexOf("globalThis.__fermataPlaces = ") + 29).replace(/;\s*$/, ""));
    return framesOf(stack.replace(/file:\S*check\.mjs/g, "module.js").replace(/^(\s*at )(module\.js:\S+)$/gm, "$1<top> ($2)"));
}

main().catch((failed) => {
    process.stderr.write(`error: ${failed instanceof BuildError ? failed.message : failed.stack}\n`);
    process.exitCode = 1;
});
