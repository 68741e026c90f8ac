import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

import { sourcesOf, stemOf } from "../build/project.mjs";

/** The sources of a project of these files, relative to it. */
async function sources(files, of = ".") {
    const root = await mkdtemp(join(tmpdir(), "project-"));
    try {
        for (const [path, text] of Object.entries(files)) {
            await mkdir(dirname(join(root, path)), { recursive: true });
            await writeFile(join(root, path), text);
        }
        return (await sourcesOf(join(root, of))).map((path) => relative(root, path));
    } finally {
        await rm(root, { recursive: true });
    }
}

const main = (pattern) => JSON.stringify({ main: pattern });

test("without a word about it all files of the folder, or of src, are sources", async () => {
    const others = { "node_modules/a/index.js": "", "a.test.js": "", "types.d.ts": "", "README.md": "", "vite.config.ts": "" };
    assert.deepEqual(await sources({ "b.js": "", "A/index.ts": "", ...others }), ["A/index.ts", "b.js"]);
    assert.deepEqual(await sources({ "b.js": "", "src/a.mjs": "", ...others }), ["src/a.mjs"]);
});

test("main names a file, a pattern, or what a compiler would make of the sources", async () => {
    const files = { "src/functions/a.ts": "", "src/functions/b.ts": "", "src/index.ts": "", "src/lib/c.ts": "" };
    assert.deepEqual(await sources({ ...files, "package.json": main("src/index.ts") }), ["src/index.ts"]);
    assert.deepEqual(await sources({ ...files, "package.json": main("dist/src/{index.js,functions/*.js}") }), [
        "src/functions/a.ts",
        "src/functions/b.ts",
        "src/index.ts",
    ]);
    assert.deepEqual(await sources({ ...files, "package.json": main("nothing/*.js") }), Object.keys(files).sort());
    assert.deepEqual(await sources({ ...files, "package.json": main("dist/functions/*.js") }), ["src/functions/a.ts", "src/functions/b.ts"]);
    assert.deepEqual(await sources({ ...files, "package.json": main("src/{index,functions/*}.ts") }), ["src/functions/a.ts", "src/functions/b.ts", "src/index.ts"]);
});

test("a file is a project, too", async () => {
    assert.deepEqual(await sources({ "b.js": "", "a.js": "" }, "b.js"), ["b.js"]);
});

test("what can not be built is told", async () => {
    await assert.rejects(sources({ "README.md": "" }), /holds no JavaScript/);
    await assert.rejects(sources({ "package.json": "{", "a.js": "" }), /package\.json can not be read/);
    await assert.rejects(sources({}, "nowhere"), /there is no/);
});

test("a file gives its name", () => {
    assert.equal(stemOf("/a/BudgetApproval.js"), "BudgetApproval");
    assert.equal(stemOf("/a/BudgetApproval/index.ts"), "BudgetApproval");
});
