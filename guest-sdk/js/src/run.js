// Runs an orchestrator or an activity from its beginning to its end.

import { activities, enter, enterActivity, orchestrators } from "./app.js";
import { runToEnd } from "./async.js";
import { ActivityContext, OrchestrationContext } from "./context.js";
import { MisuseError, PayloadError, failure } from "./failure.js";
import { host } from "./host.js";
import { fromPayload, toPayload } from "./payload.js";
import { FAILED, OPEN, Task, describe } from "./task.js";
import { complete } from "./wait.js";

/** The output as JSON text. Throws what the orchestrator threw. */
export function runOrchestrator(name, input) {
    const handler = find(orchestrators, "orchestrator", name);
    const context = new OrchestrationContext(name, input);
    enter(context.df);
    const output = drive(handler(context), name);
    if (context.df.next) {
        // Does not return.
        host.continueAsNew(context.df.next.input, false);
    }
    if (output instanceof Task) {
        throw new PayloadError(`the orchestrator ${name} returned a task and not its result: write \`return yield …\``);
    }
    return toPayload(output, `what the orchestrator ${name} returned`);
}

/** The output as JSON text. Throws what the activity threw. */
export function runActivity(name, input, about) {
    const handler = find(activities, "activity", name);
    const value = fromPayload(input);
    const context = new ActivityContext(name, value, about);
    enterActivity(context);
    const returned = handler(value, context);
    const output = isThenable(returned) ? runToEnd(Promise.resolve(returned), `the activity ${name}`) : returned;
    return toPayload(output, `what the activity ${name} returned`);
}

function drive(started, name) {
    if (typeof started?.next === "function" && typeof started?.throw === "function") {
        return driveGenerator(started);
    }
    if (started instanceof Task) {
        throw new MisuseError(`the orchestrator ${name} returned a task that nobody waited for: make it a \`function*\` and \`yield\` the task`);
    }
    if (isThenable(started)) {
        return runToEnd(started, `the orchestrator ${name}`);
    }
    throw new MisuseError(
        `the orchestrator ${name} is a plain function, which can wait for nothing: make it a \`function*\` and \`yield\` tasks, or \`async\` and \`await\` them`,
    );
}

function driveGenerator(generator) {
    let step = generator.next();
    while (!step.done) {
        step = resumed(generator, step.value);
    }
    return step.value;
}

/** Waits for a task, and lets the generator go on with what it came to. */
function resumed(generator, task) {
    // The usual case, without a detour: it is replayed for each wait of a history.
    if (task?.constructor === Task && task.state === OPEN) {
        task.wait();
        return task.state === FAILED ? generator.throw(task.value) : generator.next(task.value);
    }
    try {
        waitFor(task);
    } catch (error) {
        return generator.throw(error);
    }
    return task.isFaulted ? generator.throw(task.result) : generator.next(task.result);
}

function waitFor(task) {
    if (!(task instanceof Task)) {
        const hint = Array.isArray(task) ? "for several at once there is `context.df.Task.all`" : "an orchestrator yields tasks of `context.df`";
        throw new MisuseError(`what was yielded is no task, but ${describe(task)}: ${hint}`);
    }
    complete(task);
}

function find(where, what, name) {
    const handler = where.get(name);
    if (!handler) {
        const names = [...where.keys()].join(", ") || "none";
        throw failure("not-found", `the module has no ${what} ${JSON.stringify(name)}; it has: ${names}`, "", "");
    }
    return handler;
}

const isThenable = (value) => typeof value?.then === "function";
