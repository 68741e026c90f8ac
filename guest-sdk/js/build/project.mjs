// Which files of a project hold its orchestrators and activities.

import { readFile, readdir, stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative, sep } from "node:path";

/** What is wrong, for the person who builds. */
export class BuildError extends Error {}

const SOURCE = /\.([cm]?[jt]s|jsx|tsx)$/;
const NO_SOURCE = /(\.d\.[cm]?ts|\.(test|spec|config)\.[a-z]+)$/;
const NO_FOLDERS = ["node_modules", "dist", "test", "tests"];

/**
 * The source files of a project, which is one of them or a folder: those that `main` of its package.json names, where it names source files
 * that exist (a path or a pattern, as Azure Functions have it); else all in `src`, else all in the folder.
 */
export async function sourcesOf(project) {
    const about = await stat(project).catch(() => undefined);
    if (!about) {
        throw new BuildError(`there is no ${project}`);
    }
    if (about.isFile()) {
        return [project];
    }
    const named = await namedByMain(project);
    const found = named.length > 0 ? named : await inFolder((await exists(join(project, "src"))) ? join(project, "src") : project);
    if (found.length === 0) {
        throw new BuildError(`${project} holds no JavaScript or TypeScript: put orchestrators into files there, or into \`src\``);
    }
    return found.sort();
}

/** The name that a file gives to what it exports: `BudgetApproval.js` and `BudgetApproval/index.js` give the same. */
export function stemOf(path) {
    const stem = basename(path, extname(path));
    return stem === "index" ? basename(dirname(path)) : stem;
}

async function namedByMain(project) {
    let main;
    try {
        main = JSON.parse(await readFile(join(project, "package.json"), "utf8")).main;
    } catch (failed) {
        if (failed.code === "ENOENT") {
            return [];
        }
        throw new BuildError(`${join(project, "package.json")} can not be read: ${failed.message}`);
    }
    if (typeof main !== "string") {
        return [];
    }
    // What a compiler writes to `dist` is built from its source instead.
    const typed = main.replace(/\.js(?=[},]|$)/g, ".ts");
    const compiled = /^(\.\/)?dist\//;
    const patterns = [main, typed.replace(compiled, ""), typed.replace(compiled, "src/")].map(expression);
    const files = await inFolder(project);
    const matches = (pattern) => files.filter((file) => pattern.test(relative(project, file).split(sep).join("/")));
    return patterns.map(matches).find((found) => found.length > 0) ?? [];
}

/** A pattern with `*`, `**` and `{a,b}`. */
function expression(pattern) {
    const parts = { "**/": "(.*/)?", "**": ".*", "*": "[^/]*", "{": "(", "}": ")", ",": "|" };
    const source = pattern.replace(/^\.\//, "").replace(/\*\*\/|\*\*|\*|[{},]|[.+?^$()|[\]\\]/g, (part) => parts[part] ?? `\\${part}`);
    return new RegExp(`^${source}$`);
}

async function inFolder(folder) {
    const entries = await readdir(folder, { withFileTypes: true });
    const found = entries.map((entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) {
            return entry.name.startsWith(".") || NO_FOLDERS.includes(entry.name) ? [] : inFolder(path);
        }
        return SOURCE.test(entry.name) && !NO_SOURCE.test(entry.name) ? [path] : [];
    });
    return (await Promise.all(found)).flat();
}

const exists = (path) => stat(path).then(() => true, () => false);
