// Stacks, told in the lines of the user's files.

/** A line of a stack as the engine writes it. */
const FRAME = /^\s*at (\S.*?) \(.*?module\.js:(\d+)(?::\d+)?\)$/;

/** The frames of a stack that lie in the user's code, a line each. Where nothing is known of the bundle, the stack as it is. */
export function framesOf(stack) {
    const lines = String(stack ?? "").split("\n").filter((line) => line.trim());
    const places = globalThis.__fermataPlaces;
    return (places ? lines.map((line) => frameIn(places, line)).filter(Boolean) : lines).join("\n");
}

function frameIn({ files, runs }, text) {
    const [, name, line] = FRAME.exec(text) ?? [];
    const run = runs.findLast(([from]) => from <= Number(line));
    if (!run || run[1] < 0) {
        return undefined;
    }
    const [from, file, there] = run;
    return `    at ${name} (${files[file]}:${there + Number(line) - from})`;
}
