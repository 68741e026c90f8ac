// Orchestrators and activities that are `async`: what they wait for, and the loop that runs them.

import { MisuseError } from "./failure.js";
import { fulfil, reject, runJobs } from "./promise.js";
import { Tree, complete, nextArrival } from "./wait.js";

/** The tasks that are awaited and not complete, each with its tree, if it is compound, and the promises that it settles. */
const awaited = new Map();

/** The one that was awaited last: usually the only one. */
let latest;

/** Settles the promise with what the task comes to, as it is: the value of a `Task.any` is a task. */
export function subscribe(task, promise) {
    const wait = awaited.get(task);
    if (wait) {
        wait.promises.push(promise);
        return;
    }
    if (task.isCancelled) {
        reject(promise, new MisuseError("a task that was cancelled can not be awaited"));
        return;
    }
    // A tree may turn out to be complete already.
    const tree = !task.isCompleted && task.children ? new Tree(task) : undefined;
    if (task.isCompleted) {
        tell(task, promise);
    } else {
        latest = task;
        awaited.set(task, { tree, promises: [promise] });
    }
}

/** Runs jobs, and blocks where there are none, until the promise is settled. Returns its value, or throws its error. */
export function runToEnd(promise, name) {
    let end;
    promise.then(
        (value) => (end = { value }),
        (error) => (end = { error }),
    );
    for (;;) {
        runJobs();
        if (end) {
            awaited.clear();
            if ("error" in end) {
                throw end.error;
            }
            return end.value;
        }
        if (awaited.size === 0) {
            throw new MisuseError(`${name} awaits what is no task and will never come: an orchestrator awaits tasks of \`context.df\`, an activity nothing from outside`);
        }
        block();
    }
}

/** Blocks until something that is awaited is complete: for the one, where there is but one, for then the host knows what it waits for. */
function block() {
    if (awaited.size === 1) {
        const task = awaited.has(latest) ? latest : awaited.keys().next().value;
        complete(task);
        return settled(task);
    }
    const arrived = nextArrival();
    if (awaited.has(arrived)) {
        settled(arrived);
    }
    for (const [task, { tree }] of awaited) {
        if (tree && arrived) {
            tree.accept(arrived);
            if (tree.isComplete) {
                settled(task);
            }
        }
    }
}

function settled(task) {
    const { promises } = awaited.get(task);
    awaited.delete(task);
    promises.forEach((promise) => tell(task, promise));
}

function tell(task, promise) {
    task.isFaulted ? reject(promise, task.result) : fulfil(promise, task.result);
}
