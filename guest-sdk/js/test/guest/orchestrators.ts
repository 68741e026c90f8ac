// What the end-to-end tests run of JavaScript that no example shows.

import * as df from "durable-functions";
import type { ActivityHandler, OrchestrationContext } from "durable-functions";
import { readFileSync } from "node:fs";
import { app } from "@azure/functions";

const echo = df.app.activity("JsEcho", { handler: (input: unknown) => input });

df.app.activity("JsTells", { handler: (_input, context) => ({ key: context.taskKey, instance: context.instanceId, attempt: context.attempt }) });

df.app.activity("JsLater", {
    handler: async (input: number) => {
        await null;
        const parts = await Promise.all([Promise.resolve(input), { then: (done: (n: number) => void) => done(1) }]);
        return parts[0] + parts[1];
    },
});

class OutOfStock extends Error {
    override name = "OutOfStock";
}

const fails: ActivityHandler = (input: string) => {
    throw new OutOfStock(`no ${input} left`);
};
df.app.activity("JsFails", { handler: fails });

df.app.activity("JsThirdTime", {
    handler: (_input, context) => {
        if (context.attempt < 3) {
            throw new Error(`attempt ${context.attempt}`);
        }
        return context.attempt;
    },
});

/** Waits for "E" as often as its input says. */
df.app.orchestration("JsLoop", function* (context) {
    const count = context.df.getInput<number>();
    let sum = 0;
    for (let n = 0; n < count; n++) {
        sum += yield context.df.waitForExternalEvent("E");
    }
    return sum;
});

df.app.orchestration("JsAsyncLoop", async function (context) {
    const count = context.df.getInput<number>();
    let sum = 0;
    for (let n = 0; n < count; n++) {
        sum += await context.df.waitForExternalEvent<number>("E");
    }
    return sum;
});

function world(context: OrchestrationContext) {
    const bytes = crypto.getRandomValues(new Uint8Array(4));
    return [Date.now(), new Date().toISOString(), context.df.currentUtcDateTime, Math.random(), crypto.randomUUID(), context.df.newGuid(), [...bytes]];
}

df.app.orchestration("JsWorld", function* (context) {
    const before = world(context);
    context.df.setCustomStatus(before);
    yield context.df.waitForExternalEvent("E");
    return [before, world(context)];
});

/** A timer against all of several, and one of two such. */
df.app.orchestration("JsNested", function* (context) {
    const { Task, waitForExternalEvent } = context.df;
    const wait = waitForExternalEvent.bind(context.df);
    const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 3_600_000));
    const [a, b, c, d] = ["A", "B", "C", "D"].map((name) => wait(name));
    const first = Task.all([a, b]);
    const second = Task.all([c, Task.any([d, wait("E")])]);
    const winner = yield Task.any([timer, first, second]);
    if (winner === timer) {
        return "timer";
    }
    timer.cancel();
    return winner === first ? ["first", ...first.result] : ["second", second.result[0], second.result[1] === d ? "D" : "E", second.result[1].result];
});

df.app.orchestration("JsFailing", function* () {
    throw new RangeError("out of range");
});

df.app.orchestration("JsCatches", function* (context) {
    try {
        yield context.df.callActivity("JsFails", "lamps");
        return "nothing was thrown";
    } catch (error) {
        const failed = error as df.TaskFailedError;
        return [error instanceof df.TaskFailedError, failed.message, failed.kind, failed.failureDetails.errorType, failed.taskName, failed.failureDetails.stackTrace];
    }
});

df.app.orchestration("JsPasses", function* (context) {
    yield context.df.callActivity("JsFails", "lamps");
});

df.app.orchestration("JsNoActivity", function* (context) {
    yield context.df.callActivity("Nowhere");
});

df.app.orchestration("JsRetries", function* (context) {
    const options = new df.RetryOptions(10, 5);
    return [yield context.df.callActivityWithRetry("JsThirdTime", options), yield echo("again").withRetry(options)];
});

df.app.orchestration("JsTimer", function* (context) {
    const event = context.df.waitForExternalEvent("E");
    const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + context.df.getInput<number>()));
    const winner = yield context.df.Task.any([event, timer]);
    if (winner === timer) {
        return "too late";
    }
    timer.cancel();
    return [event.result, timer.isCanceled];
});

df.app.orchestration("JsDefault", function* (context) {
    const before = context.df.currentUtcDateTime.getTime();
    const found = yield context.df.waitForExternalEvent("E", { timeout: 60_000, default: "nobody" });
    try {
        yield context.df.waitForExternalEvent("E", { timeout: 1_000 });
    } catch (error) {
        return [found, error instanceof df.TimeoutError, context.df.currentUtcDateTime.getTime() - before];
    }
});

const child = df.app.orchestration("JsChild", function* (context) {
    const name: string = context.df.getInput();
    if (name === "bad") {
        throw new OutOfStock("no child");
    }
    return [name, context.df.parentInstanceId !== undefined, yield echo(name)];
});

df.app.orchestration("JsParent", function* (context) {
    const one = yield context.df.callSubOrchestrator("JsChild", "one", `${context.df.instanceId}-one`);
    const two = yield child("two");
    try {
        yield child("bad");
    } catch (error) {
        return [one, two, (error as Error).message];
    }
});

df.app.orchestration("JsGenerations", function* (context) {
    const { left, sum } = context.df.getInput<{ left: number; sum: number }>();
    const added: number = yield context.df.waitForExternalEvent("E");
    if (left === 0) {
        return sum + added;
    }
    context.df.continueAsNew({ left: left - 1, sum: sum + added });
});

df.app.orchestration("JsStatus", function* (context) {
    context.df.setCustomStatus({ at: "gate" });
    yield context.df.waitForExternalEvent("E");
    context.df.setCustomStatus(null);
    return context.df.customStatus;
});

df.app.orchestration("JsAsync", async function (context) {
    const { df: durable } = context;
    const e = ["A", "B", "C"].map((name) => durable.waitForExternalEvent<number>(name));
    const seen: unknown[] = [];
    const note = async (name: string, task: df.Task<number>) => seen.push([name, await task]);
    const winner = await durable.Task.any(e);
    seen.push(e.findIndex((each) => each === winner));
    seen.push(await echo("x"));
    await Promise.all([note("c", e[2]), note("a", e[0]), durable.Task.all([e[0], e[1]]).then((all) => seen.push(all))]);
    try {
        await durable.callActivity("JsFails", "lamps");
    } catch (error) {
        seen.push((error as Error).name);
    } finally {
        seen.push("done");
    }
    for await (const each of each3(durable)) {
        seen.push(each);
    }
    return seen;
});

async function* each3(durable: df.DurableOrchestrationContext) {
    for (let n = 0; n < 3; n++) {
        yield await durable.callActivity<number>("JsLater", n);
    }
}

df.app.orchestration("JsNever", async () => {
    await new Promise(() => {});
});

// What a type checker refuses, and JavaScript lets pass.
// @ts-expect-error it yields what is no task
const yieldsNumbers: df.OrchestrationHandler = function* () {
    yield 1;
};
const untyped = (handler: unknown) => handler as df.OrchestrationHandler;
df.app.orchestration("JsPlain", untyped((context: OrchestrationContext) => {
    // @ts-expect-error a task is always true: the type checker tells that it was not waited for
    return context.df.waitForExternalEvent("Approval") ? "granted" : "denied";
}));
df.app.orchestration("JsForgot", untyped((context: OrchestrationContext) => context.df.waitForExternalEvent("Approval")));
df.app.orchestration("JsReturnsTask", untyped(function* (context: OrchestrationContext) {
    yield context.df.callActivity("JsEcho");
    return context.df.callActivity("JsEcho");
}));
df.app.orchestration("JsYieldsNumber", yieldsNumbers);
df.app.orchestration("JsNoJson", untyped(function* () {
    return 1n;
}));

df.app.orchestration("JsUsesNode", function* () {
    return readFileSync("/etc/passwd");
});
df.app.orchestration("JsUsesTimeout", async () => await new Promise((done) => setTimeout(done, 1)));
df.app.orchestration("JsUsesHttp", function* () {
    app.http("start", {});
});

df.app.orchestration("JsLogs", function* (context) {
    console.log("first", { n: 1 });
    context.warn("look out");
    yield context.df.waitForExternalEvent("E");
    console.error(new Error("broken"));
    return "logged";
});

df.app.orchestration("JsSpins", function* () {
    for (;;);
});

/** Calls what is written in other languages. */
df.app.orchestration("JsMixed", function* (context) {
    const permit = yield context.df.callActivity("IssueBuildingPermit", "A-17");
    const child = yield context.df.callSubOrchestrator(context.df.getInput<string>(), 2);
    return [permit, child];
});
