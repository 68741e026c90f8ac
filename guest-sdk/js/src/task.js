// Tasks: what an orchestrator can wait for.

import { MisuseError, errorOf } from "./failure.js";
import { host } from "./host.js";
import { fromPayload, toPayload } from "./payload.js";
import { subscribe } from "./async.js";
import { Promise, SUBSCRIBE } from "./promise.js";

const OPEN = 0;
/** The host has handed it over; its result is not taken yet. An event that was never taken goes back to the buffer. */
const ARRIVED = 1;
const TAKEN = 2;

/** Something to wait for: `yield` it, or `await` it. */
export class Task {
    /** Whether the orchestrator has seen it complete. This goes by the order of history, and is the same on replay. */
    get isCompleted() {
        return false;
    }

    /** Whether it has failed. */
    get isFaulted() {
        return false;
    }

    /** Its value where it is complete, its error where it has failed, else `undefined`. */
    get result() {
        return undefined;
    }

    /** Makes tasks awaitable in `async` orchestrators. */
    then(fulfilled, rejected) {
        return Promise.resolve(this).then(fulfilled, rejected);
    }

    [SUBSCRIBE](fulfil, reject) {
        subscribe(this, fulfil, reject);
    }
}

/** The tasks that the host has not handed over yet, by handle. */
const open = new Map();

/** The open task of this handle. */
export const openTask = (handle) => open.get(handle);

/** A task of the host's. */
export class AtomicTask extends Task {
    #state = OPEN;
    #isFaulted = false;
    #value = undefined;

    /** `canFail`: whether its outcome must be looked at to know that it succeeded. */
    constructor(handle, { taskName, canFail = true } = {}) {
        super();
        this.handle = handle;
        this.taskName = taskName;
        this.canFail = canFail;
        this.isCancelled = false;
        open.set(handle, this);
    }

    get isCompleted() {
        return this.#state !== OPEN;
    }

    get isFaulted() {
        this.take();
        return this.#isFaulted;
    }

    get result() {
        this.take();
        return this.#value;
    }

    /** Gives the task up: it can not be waited for any more. An activity goes on, unheard. */
    cancel() {
        if (this.#state !== OPEN) {
            throw new MisuseError("a task that is complete can not be cancelled: ask `isCompleted` before");
        }
        this.isCancelled = host.cancelTask(this.handle);
        open.delete(this.handle);
    }

    /** Has the task tried again when it fails; only before anything is waited for. */
    retry(policy) {
        host.setRetry(this.handle, policy);
        return this;
    }

    /** The host has said that it is complete. */
    arrive() {
        this.#state = this.#state || ARRIVED;
        open.delete(this.handle);
    }

    /** Takes the result where it is there. */
    take() {
        if (this.#state === ARRIVED) {
            const { tag, val } = host.taskResult(this.handle);
            tag === "ok" ? this.succeed(val) : this.fail(val);
        }
    }

    succeed(payload) {
        this.#value = fromPayload(payload);
        this.#state = TAKEN;
        open.delete(this.handle);
    }

    fail(failure) {
        this.#value = errorOf(failure, this);
        this.#isFaulted = true;
        this.#state = TAKEN;
        open.delete(this.handle);
    }
}

/** A timer. Its result is `undefined`. */
export class TimerTask extends AtomicTask {
    constructor(handle) {
        super(handle, { canFail: false });
    }

    get isCanceled() {
        return this.isCancelled;
    }

    get result() {
        this.take();
        return undefined;
    }
}

/** A task made of others. What it came to is set by whoever waits for it. */
class CompoundTask extends Task {
    #isCompleted = false;
    #isFaulted = false;
    #value = undefined;

    constructor(name, children) {
        super();
        if (!Array.isArray(children)) {
            throw new MisuseError(`\`Task.${name}\` takes an array of tasks`);
        }
        const wrong = children.findIndex((child) => !(child instanceof Task));
        if (wrong >= 0) {
            throw new MisuseError(`\`Task.${name}\` takes tasks, and number ${wrong} is none: it is ${describe(children[wrong])}`);
        }
        this.children = [...children];
        this.isFlat = children.every((child) => child instanceof AtomicTask);
    }

    get isCompleted() {
        return this.#isCompleted;
    }

    get isFaulted() {
        return this.#isFaulted;
    }

    get result() {
        return this.#value;
    }

    complete(value, isFaulted) {
        this.#isCompleted = true;
        this.#isFaulted = isFaulted;
        this.#value = value;
    }
}

/** Complete when every task is, or one has failed. */
export class AllTask extends CompoundTask {
    constructor(children) {
        super("all", children);
    }
}

/** Complete when one of the tasks is; its result is that task. */
export class AnyTask extends CompoundTask {
    constructor(children) {
        super("any", children);
        if (children.length === 0) {
            throw new MisuseError("`Task.any` of no tasks would wait for ever: give it at least one");
        }
    }
}

/** What something is, for a person. */
export function describe(value) {
    if (value === null || value === undefined) {
        return String(value);
    }
    return typeof value === "object" ? `an object (${value.constructor?.name ?? "Object"})` : `a ${typeof value}`;
}

/** Has the host end a task at an instant: with a default where there is one, else with a failure. */
export function setTimeout(task, due, fallback) {
    host.setTimeout(task.handle, due, fallback === undefined ? null : toPayload(fallback, "the default of a wait"));
    task.canFail ||= fallback === undefined;
}
