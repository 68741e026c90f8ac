// Orchestrators and activities that are `async`: what they wait for, and the loop that runs them.

import { MisuseError } from "./failure.js";
import { runJobs } from "./promise.js";
import { AtomicTask } from "./task.js";
import { Tree, complete, nextArrival } from "./wait.js";

/** The tasks that are awaited and not complete, each with its tree, if it is compound, and with whom to tell. */
const awaited = new Map();

/** Tells what the task comes to, as it is: the value of a `Task.any` is a task. */
export function subscribe(task, fulfil, reject) {
    const told = { fulfil, reject };
    if (awaited.has(task)) {
        awaited.get(task).subscribers.push(told);
        return;
    }
    if (task.isCancelled) {
        reject(new MisuseError("a task that was cancelled can not be awaited"));
        return;
    }
    const isCompound = !task.isCompleted && !(task instanceof AtomicTask);
    const wait = { tree: isCompound ? new Tree(task) : undefined, subscribers: [told] };
    if (task.isCompleted) {
        tell(task, wait);
    } else {
        awaited.set(task, wait);
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
        const [task] = awaited.keys();
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
    const wait = awaited.get(task);
    awaited.delete(task);
    tell(task, wait);
}

function tell(task, { subscribers }) {
    const value = task.result;
    for (const { fulfil, reject } of subscribers) {
        task.isFaulted ? reject(value) : fulfil(value);
    }
}
