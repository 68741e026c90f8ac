import assert from "node:assert/strict";
import { test } from "node:test";

import { Blocked, failureRecord, playHost } from "./host.mjs";
import * as df from "../src/index.js";
import { orchestrators, registerExports } from "../src/app.js";
import { runActivity, runOrchestrator } from "../src/run.js";

let count = 0;

/** Runs a handler with these completions: what it returned, how it failed, or where it blocked, and what it asked of the host. */
function run(handler, completions = [], input = "null") {
    count += 1;
    const name = `test-${count}`;
    df.app.orchestration(name, handler);
    const { calls, taken } = playHost(completions);
    try {
        return { output: JSON.parse(runOrchestrator(name, input)), calls, taken };
    } catch (error) {
        return error instanceof Blocked ? { blocked: error.message, calls, taken } : { error, calls, taken };
    }
}

const wait = (context, ...names) => names.map((name) => context.df.waitForExternalEvent(name));

test("one wait blocks on that task alone, and takes its value", () => {
    const handler = function* (context) {
        return yield context.df.waitForExternalEvent("Approval");
    };
    assert.equal(run(handler).blocked, '["await",0]');
    assert.deepEqual(run(handler, [[0, { by: "me" }]]).output, { by: "me" });
});

test("a task that was yielded gives its result again", () => {
    const handler = function* (context) {
        const [a] = wait(context, "A");
        return [yield a, yield a, a.result, a.isCompleted];
    };
    assert.deepEqual(run(handler, [[0, 1]]).output, [1, 1, 1, true]);
});

test("any is won by what completed first, whatever its place, and takes no result of it", () => {
    const handler = function* (context) {
        const events = wait(context, "A", "B", "C");
        const winner = yield context.df.Task.any(events);
        return events.indexOf(winner);
    };
    assert.equal(run(handler).blocked, '["any",[0,1,2]]');
    const { output, taken } = run(handler, [[2, "c"], [0, "a"]]);
    assert.equal(output, 2);
    assert.equal(taken.size, 0);
});

test("any goes by history even where a later completion is known already", () => {
    for (const isAsync of [false, true]) {
        const body = function* (context) {
            const events = wait(context, "A", "B");
            yield events[1];
            const winner = yield context.df.Task.any(events);
            return events.indexOf(winner);
        };
        const handler = isAsync ? asAsync(body) : body;
        assert.equal(run(handler, [[0, "a"], [1, "b"]]).output, 0);
    }
});

test("all gives the values in the order of the tasks, and fails of the first failure", () => {
    const handler = function* (context) {
        return yield context.df.Task.all(wait(context, "A", "B"));
    };
    assert.deepEqual(run(handler, [[1, "b"], [0, "a"]]).output, ["a", "b"]);
    assert.equal(run(handler, [[1, "b"]]).blocked, '["all",[0,1]]');
    assert.equal(run(handler, [[1, failureRecord("no b"), "failed"]]).error.message, "no b");
});

test("all of nothing is an empty array, any of nothing is refused", () => {
    assert.deepEqual(run(function* (context) { return yield context.df.Task.all([]); }).output, []);
    assert.match(run(function* (context) { yield context.df.Task.any([]); }).error.message, /at least one/);
});

test("nested tasks complete in the order of history", () => {
    const handler = function* (context) {
        const [a, b, c, d] = wait(context, "A", "B", "C", "D");
        const first = context.df.Task.all([a, b]);
        const second = context.df.Task.all([c, d]);
        const winner = yield context.df.Task.any([first, second]);
        return [winner === first ? "first" : "second", winner.result];
    };
    assert.deepEqual(run(handler, [[0, 1], [3, 4], [2, 3], [1, 2]]).output, ["second", [3, 4]]);
    assert.deepEqual(run(handler, [[3, 4], [1, 2], [0, 1], [2, 3]]).output, ["first", [1, 2]]);
    assert.equal(run(handler, [[3, 4], [1, 2]]).blocked, '["next"]');
});

test("nested tasks go by history where some of them are known already", () => {
    const handler = function* (context) {
        const [a, b, c] = wait(context, "A", "B", "C");
        yield b;
        const both = context.df.Task.all([a, b]);
        const winner = yield context.df.Task.any([both, context.df.Task.all([c])]);
        return winner === both ? "both" : "c";
    };
    assert.equal(run(handler, [[0, 1], [1, 2], [2, 3]]).output, "both");
    assert.equal(run(handler, [[0, 1], [2, 3], [1, 2]]).output, "c");
    assert.equal(run(handler, [[2, 3], [1, 2]]).output, "c");
});

test("what lost is not taken, so that its event goes back to the buffer", () => {
    const handler = function* (context) {
        const [a, b, c] = wait(context, "A", "B", "C");
        yield context.df.Task.any([context.df.Task.all([a, b]), c]);
        return a.isCompleted;
    };
    const { output, taken } = run(handler, [[0, 1], [2, 3]]);
    assert.equal(output, true);
    assert.deepEqual([...taken], []);
});

test("a failing child fails a nested all at once, and a winner of any may have failed", () => {
    const handler = function* (context) {
        const activity = context.df.callActivity("A");
        const event = context.df.waitForExternalEvent("E");
        const timer = context.df.createTimer(new Date(5000));
        try {
            yield context.df.Task.all([context.df.Task.any([timer]), context.df.Task.all([activity, event])]);
        } catch (error) {
            return [error.message, error instanceof df.TaskFailedError, activity.isFaulted, (yield context.df.Task.any([activity, event])) === activity];
        }
    };
    assert.deepEqual(run(handler, [[0, failureRecord("no"), "failed"]]).output, ["no", true, true, true]);
});

test("a task is given up by cancel, and can not be waited for then", () => {
    const handler = function* (context) {
        const timer = context.df.createTimer(new Date(5000));
        timer.cancel();
        assert.equal(timer.isCanceled, true);
        yield context.df.Task.any([timer]);
    };
    const { error, calls } = run(handler);
    assert.deepEqual(calls, [["timer", 5000], ["cancel", 0]]);
    assert.match(error.message, /cancelled can not be waited for/);
});

test("inputs, names and policies reach the host", () => {
    const handler = function* (context) {
        const options = new df.RetryOptions(100, 3);
        options.backoffCoefficient = 2;
        context.df.callActivityWithRetry("A", options, { a: 1 });
        context.df.callSubOrchestrator("O", undefined, "id");
        context.df.waitForExternalEvent("E", { timeout: 500, default: 7 });
        context.df.setCustomStatus("here");
        context.df.raiseEvent("other", "Go", [1]);
        assert.equal(context.df.startOrchestrator("P", 1), "started");
        assert.equal(context.df.callbackUrl("E", 10), "http://host/E/1010");
        return context.df.getInput();
    };
    const { output, calls } = run(handler, [], '{"in":1}');
    assert.deepEqual(output, { in: 1 });
    const policy = { maxAttempts: 3, firstInterval: 100, backoffCoefficient: 2, maxInterval: null, timeout: null, attemptTimeout: null, nonRetryable: [] };
    assert.deepEqual(calls, [
        ["activity", "A", '{"a":1}'],
        ["retry", 0, policy],
        ["child", "O", "null", "id"],
        ["wait", "E"],
        ["timeout", 2, 1500, "7"],
        ["status", '"here"'],
        ["raise", "other", "Go", "[1]"],
        ["start", "P", "1", null],
    ]);
});

test("continue as new takes effect at the end", () => {
    const handler = function* (context) {
        context.df.continueAsNew({ next: 1 });
        context.df.setCustomStatus("still running");
        yield context.df.waitForExternalEvent("E");
    };
    assert.deepEqual(run(handler, [[0, 1]]).calls, [["status", '"still running"'], ["wait", "E"], ["continue", '{"next":1}', false]]);
});

test("what can not be meant is refused with a sentence that says what would be right", () => {
    const cases = [
        [() => "granted", /plain function.*yield/],
        [(context) => context.df.waitForExternalEvent("A"), /nobody waited for/],
        [function* () { yield [1]; }, /Task\.all/],
        [function* () { yield undefined; }, /undefined/],
        [function* (context) { return context.df.waitForExternalEvent("A"); }, /return yield/],
        [function* (context) { context.df.Task.all([1]); }, /number 0/],
        [function* (context) { context.df.callActivity(""); }, /name/],
        [function* (context) { context.df.callActivity("A", context.df.waitForExternalEvent("B")); }, /not its result/],
        [function* (context) { return context.df.waitForExternalEvent("Paid") < 10; }, /\(Paid\) was used as a value/],
        [function* (context) { return `${context.df.waitForExternalEvent("Paid")}`; }, /was used as a value/],
        [function* (context) { return { paid: context.df.waitForExternalEvent("Paid") }; }, /stands where its result should/],
        [function* (context) { context.df.createTimer(new Date("never")); }, /valid `Date`/],
        [function* (context) { context.df.callActivityWithRetry("A", {}); }, /first interval/],
        [function* (context) { context.df.callActivityWithRetry("A", Object.assign(new df.RetryOptions(1, 2), { backoffCoefficient: NaN })); }, /coefficient.*NaN/],
        [function* (context) { context.df.callHttp({}); }, /endpoint/],
        [function* (context) { context.df.callEntity(); }, /no entities/],
        [function* () { df.getClient(); }, /HTTP API/],
        [function* () { df.input.durableClient(); }, /HTTP API/],
        [function* () { df.app.client.http("x", {}); }, /HTTP API/],
        [function* () { return Symbol("x"); }, /no JSON/],
        [async () => await new Promise(() => {}), /never come/],
    ];
    for (const [handler, expected] of cases) {
        assert.match(run(handler).error?.message ?? "nothing was thrown", expected);
    }
});

test("registered functions are called like any other", () => {
    const double = df.app.activity("Double", { handler: (n) => 2 * n });
    const options = new df.RetryOptions(1, 2);
    const { calls } = run(function* () { yield double(4).withRetry(options); });
    assert.deepEqual(calls.slice(0, 2).map((call) => call.slice(0, 3)), [["activity", "Double", "4"], ["retry", 0, calls[1][2]]]);
    assert.throws(() => df.app.activity("Double", () => 1), /two activities named Double/);
});

test("activities run to their end, be they async or not", () => {
    playHost();
    df.app.activity("Plain", (input, context) => [input, context.attempt, df.activityContext().taskKey]);
    df.app.activity("Async", { handler: (input) => Promise.resolve(input).then((n) => n + 1) });
    df.app.activity("Stuck", { handler: () => new Promise(() => {}) });
    const about = { taskKey: "k", instanceId: "i", attempt: 2 };
    assert.equal(runActivity("Plain", '"in"', about), '["in",2,"k"]');
    assert.equal(runActivity("Async", "1", about), "2");
    assert.throws(() => runActivity("Stuck", "1", about), /never come/);
});

test("what a file exports is called as the file is", () => {
    registerExports("Stem", { default: df.orchestrator(function* () {}) });
    registerExports("Other", { Named: df.orchestrator(function* () {}), helper: () => 1, default: df.orchestrator(function* () {}, { name: "Given" }) });
    for (const name of ["Stem", "Named", "Given"]) {
        assert.ok(orchestrators.has(name), name);
    }
    registerExports("Shout", { default: (context, input) => `${input}${context.bindings.input}!` });
    playHost();
    assert.equal(runActivity("Shout", '"a"', {}), '"aa!"');
});

/** The same orchestrator with `await`, by way of a promise for each task. */
function asAsync(body) {
    return (context) => {
        const generator = body(context);
        const step = ({ done, value }) =>
            done ? value : Promise.resolve(value).then((got) => step(generator.next(got)), (error) => step(generator.throw(error)));
        return Promise.try(() => step(generator.next()));
    };
}

test("await is handed the task that won, and not what it came to", () => {
    const handler = asAsync(function* (context) {
        const events = wait(context, "A", "B");
        return events.indexOf(yield context.df.Task.any(events));
    });
    assert.equal(run(handler, [[1, "b"]]).output, 1);
});

test("a loop of awaits blocks on each task alone", () => {
    const handler = asAsync(function* (context) {
        return [yield context.df.waitForExternalEvent("A"), yield context.df.waitForExternalEvent("B")];
    });
    assert.equal(run(handler, [[0, 1]]).blocked, '["await",1]');
    assert.deepEqual(run(handler, [[0, 1], [1, 2]]).output, [1, 2]);
});

// A program of many concurrent parts, whose order shows in what it asks of the host.
function busy(seed) {
    return (context) => {
        const { df: durable } = context;
        const random = generator(seed);
        const note = (...words) => durable.setCustomStatus(words);
        const part = asAsync(function* (name) {
            for (let n = 0; n < 3; n++) {
                const tasks = Array.from({ length: 1 + random(3) }, (_, each) => durable.callActivity(`${name}${n}${each}`));
                const shapes = [durable.Task.any, durable.Task.all, (all) => durable.Task.any([durable.Task.all(all), durable.waitForExternalEvent(name)])];
                try {
                    const got = yield shapes[random(3)](tasks);
                    note(name, n, tasks.indexOf(got), tasks.map((task) => task.isCompleted));
                } catch (error) {
                    note(name, n, error.message);
                }
            }
            return name;
        });
        return Promise.all(["a", "b", "c"].map((name) => part(name))).then((names) => (note("all"), Promise.race(names)));
    };
}

function generator(seed) {
    let state = seed * 2654435761 + 1;
    return (below) => {
        state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
        return (state >>> 8) % below;
    };
}

test("concurrent promises replay exactly, from any point of a history", () => {
    let blocks = 0;
    for (let seed = 1; seed <= 150; seed++) {
        const random = generator(seed + 1000);
        const completions = [];
        let before = [];
        for (;;) {
            const now = run(busy(seed), completions);
            const replayed = before.filter(([call]) => call !== "blocked");
            assert.deepEqual(now.calls.slice(0, replayed.length), replayed, `seed ${seed}: a replay asks for what the run before asked for`);
            if (!now.blocked) {
                assert.equal(now.output, "a", `seed ${seed}: ${now.error?.stack}`);
                break;
            }
            blocks += 1;
            before = now.calls;
            const created = now.calls.filter(([call]) => call === "activity" || call === "wait").length;
            const open = Array.from({ length: created }, (_, handle) => handle).filter((handle) => !completions.some(([done]) => done === handle));
            const next = open[random(open.length)];
            completions.push(random(5) === 0 ? [next, failureRecord(`no ${next}`), "failed"] : [next, next]);
        }
    }
    assert.ok(blocks > 1000, `${blocks} blocks`);
});
