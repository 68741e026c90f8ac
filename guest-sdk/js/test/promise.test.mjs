import assert from "node:assert/strict";
import { test } from "node:test";

import { Promise, runJobs } from "../src/promise.js";

/** What a promise comes to once all jobs have run. */
function comesTo(promise) {
    let end = "pending";
    promise.then((value) => (end = { value }), (error) => (end = { error: error?.message ?? error }));
    runJobs();
    return end;
}

test("a promise comes to what it is resolved with, through promises and thenables", () => {
    assert.deepEqual(comesTo(Promise.resolve(1)), { value: 1 });
    assert.deepEqual(comesTo(new Promise((resolve) => resolve(Promise.resolve(Promise.resolve(2))))), { value: 2 });
    assert.deepEqual(comesTo(Promise.resolve({ then: (done) => done(3) })), { value: 3 });
    assert.deepEqual(comesTo(Promise.reject(4)), { error: 4 });
    assert.equal(comesTo(new Promise(() => {})), "pending");
});

test("only the first call decides", () => {
    assert.deepEqual(comesTo(new Promise((resolve, reject) => (resolve(1), reject(2), resolve(3)))), { value: 1 });
    assert.deepEqual(comesTo(new Promise((resolve) => { resolve(1); throw new Error("late"); })), { value: 1 });
    const fickle = { then: (done, failed) => (done(1), failed(2)) };
    assert.deepEqual(comesTo(Promise.resolve(fickle)), { value: 1 });
});

test("errors go past what does not handle them", () => {
    const broken = Promise.resolve(1).then(() => { throw new Error("broken"); });
    assert.deepEqual(comesTo(broken.then(() => "not here")), { error: "broken" });
    assert.deepEqual(comesTo(broken.catch((error) => error.message)), { value: "broken" });
    assert.deepEqual(comesTo(broken.finally(() => 5)), { error: "broken" });
    assert.deepEqual(comesTo(Promise.resolve(1).finally(() => 5)), { value: 1 });
    assert.deepEqual(comesTo(Promise.resolve(1).finally(() => { throw new Error("last"); })), { error: "last" });
});

test("a promise that is resolved with itself fails", () => {
    let resolveIt;
    const promise = new Promise((resolve) => (resolveIt = resolve));
    resolveIt(promise);
    assert.match(comesTo(promise).error, /itself/);
});

test("jobs run in the order of their making, and none before its time", () => {
    const seen = [];
    Promise.resolve().then(() => seen.push(1)).then(() => seen.push(3));
    Promise.resolve().then(() => seen.push(2));
    assert.deepEqual(seen, []);
    runJobs();
    assert.deepEqual(seen, [1, 2, 3]);
});

test("combinators do as the language's own", async () => {
    const cases = (P) => [
        P.all([1, P.resolve(2), { then: (done) => done(3) }]),
        P.all([]),
        P.all([1, P.reject(new Error("x"))]),
        P.allSettled([1, P.reject(2)]),
        P.any([P.reject(1), 2]),
        P.any([]),
        P.race([P.resolve(1), 2]),
        P.race([P.reject(new Error("first")), 2]),
        P.withResolvers === undefined ? P.resolve(0) : P.resolve(0),
    ];
    const native = await globalThis.Promise.allSettled(cases(NATIVE));
    const expected = native.map((each) => (each.status === "fulfilled" ? { value: each.value } : { error: each.reason.constructor.name }));
    const found = cases(Promise).map((promise) => {
        let end;
        promise.then((value) => (end = { value }), (error) => (end = { error: error.constructor.name }));
        runJobs();
        return end;
    });
    assert.deepEqual(found, expected);
});

const NATIVE = (async () => {})().constructor;
