// Tasks: what an orchestrator can wait for.

import { MisuseError, errorOf } from "./failure.js";
import { host } from "./host.js";
import { toPayload } from "./payload.js";
import { subscribe } from "./async.js";
import { Promise, SUBSCRIBE } from "./promise.js";

export const OPEN = 0;
/** The host has handed it over; its result is not taken yet. An event that was never taken goes back to the buffer. */
const ARRIVED = 1;
const CANCELLED = 2;
/** The result is taken. */
const SUCCEEDED = 3;
export const FAILED = 4;

/** Of a task that the host does not know. */
const NO_HANDLE = -1;

/** The tasks that the host has not handed over yet, by handle. */
const open = [];

/** The open task of this handle. */
export const openTask = (handle) => open[handle];

/** Something to wait for, of the host's: `yield` it, or `await` it. */
export class Task {
    // Made for each wait that is replayed: fields that are assigned cost the engine less than declared and private ones.

    /** `canFail`: whether its outcome must be looked at to know that it succeeded. */
    constructor(handle, taskName, canFail) {
        this.handle = handle;
        this.taskName = taskName;
        this.canFail = canFail;
        this.state = OPEN;
        this.value = undefined;
        open[handle] = this;
    }

    /** Whether the orchestrator has seen it complete. This goes by the order of history, and is the same on replay. */
    get isCompleted() {
        return this.state === ARRIVED || this.state > CANCELLED;
    }

    get isCancelled() {
        return this.state === CANCELLED;
    }

    get isFaulted() {
        this.take();
        return this.state === FAILED;
    }

    /** Its value where it is complete, its error where it has failed, else `undefined`. */
    get result() {
        this.take();
        return this.value;
    }

    /** Makes tasks awaitable in `async` orchestrators. */
    then(fulfilled, rejected) {
        return Promise.resolve(this).then(fulfilled, rejected);
    }

    [SUBSCRIBE](promise) {
        subscribe(this, promise);
    }

    /** A task in the place of its result: `amount < 10`, or text. */
    [Symbol.toPrimitive]() {
        throw new MisuseError(`a task${this.taskName ? ` (${this.taskName})` : ""} was used as a value: \`yield\` it, or \`await\` it, first`);
    }

    toJSON() {
        throw new MisuseError("a task stands where its result should: `yield` it, or `await` it, first");
    }

    /** Gives the task up: it can not be waited for any more. An activity goes on, unheard. */
    cancel() {
        if (this.isCompleted) {
            throw new MisuseError("a task that is complete can not be cancelled: ask `isCompleted` before");
        }
        host.cancelTask(this.handle);
        this.end(CANCELLED, undefined);
    }

    /** Has the task tried again when it fails; only before anything is waited for. */
    retry(policy) {
        host.setRetry(this.handle, policy);
        return this;
    }

    /** The host has said that it is complete. */
    arrive() {
        if (this.state === OPEN) {
            this.end(ARRIVED, undefined);
        }
    }

    /** Takes the result where it is there. */
    take() {
        if (this.state === ARRIVED) {
            const { tag, val } = host.taskResult(this.handle);
            tag === "ok" ? this.succeed(val) : this.fail(val);
        }
    }

    /** Blocks until it is complete, and takes the result. */
    wait() {
        let payload;
        try {
            payload = host.awaitTask(this.handle);
        } catch (thrown) {
            return this.fail(failureIn(thrown));
        }
        this.succeed(payload);
    }

    succeed(payload) {
        this.state = SUCCEEDED;
        this.value = JSON.parse(payload);
        open[this.handle] = undefined;
    }

    fail(failure) {
        this.end(FAILED, errorOf(failure, this));
    }

    end(state, value) {
        this.state = state;
        this.value = value;
        open[this.handle] = undefined;
    }
}

/** A timer. Its result is `undefined`. */
export class TimerTask extends Task {
    constructor(handle) {
        super(handle, undefined, false);
    }

    get isCanceled() {
        return this.isCancelled;
    }

    succeed() {
        this.end(SUCCEEDED, undefined);
    }
}

/** A task made of others. What it comes to is set by whoever waits for it. */
export class CompoundTask extends Task {
    constructor(name, children) {
        super(NO_HANDLE, undefined, true);
        if (!Array.isArray(children)) {
            throw new MisuseError(`\`Task.${name}\` takes an array of tasks`);
        }
        const wrong = children.findIndex((child) => !(child instanceof Task));
        if (wrong >= 0) {
            throw new MisuseError(`\`Task.${name}\` takes tasks, and number ${wrong} is none: it is ${describe(children[wrong])}`);
        }
        this.children = [...children];
    }

    /** Whether it is made of the host's own tasks alone. */
    get isFlat() {
        return !this.children.some((child) => child instanceof CompoundTask);
    }

    cancel() {
        throw new MisuseError("a task that is made of others is cancelled by cancelling these");
    }

    complete(value, isFaulted) {
        this.state = isFaulted ? FAILED : SUCCEEDED;
        this.value = value;
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

/** What a call of the host threw, where that is a failure of the contract; anything else goes on. */
export function failureIn(thrown) {
    const failure = thrown?.payload ?? thrown;
    if (typeof failure?.kind !== "string") {
        throw thrown;
    }
    return failure;
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
