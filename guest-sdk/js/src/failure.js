// Failures as the contract has them, and the errors that a user's code sees.

import { framesOf } from "./stack.js";

/** An error of the programming model: what was done can not be meant. */
export class DurableError extends Error {}

/** A use of the SDK that can not be meant; the message says what would be right. */
export class MisuseError extends DurableError {}

/** JSON that does not fit, or a value that is no JSON. */
export class PayloadError extends DurableError {}

/**
 * Thrown at the `yield` or `await` of a task that failed.
 *
 * `failure` has the fields of the contract; `failureDetails` the same as the original package spells them.
 */
export class TaskFailedError extends DurableError {
    constructor(failure, task) {
        super(failure.message);
        this.failure = failure;
        this.taskName = task?.taskName;
        this.taskId = task?.handle;
    }

    /** What went wrong, of an open set: `application`, `trap`, `not-found`, `limit`, `timeout`, `terminated`, `conflict`, `unavailable`. */
    get kind() {
        return this.failure.kind;
    }

    get failureDetails() {
        const { errorType, message, details, nonRetryable } = this.failure;
        return {
            errorType,
            errorMessage: message,
            stackTrace: details,
            isNonRetriable: nonRetryable,
            isCausedBy: (type) => type === errorType,
        };
    }
}

/** Thrown where a task took longer than it might. */
export class TimeoutError extends TaskFailedError {}

// A bundler may give a class another name where a user's has the same.
for (const [name, type] of Object.entries({ DurableError, MisuseError, PayloadError, TaskFailedError, TimeoutError })) {
    Object.defineProperty(type.prototype, "name", { value: name, configurable: true, writable: true });
}

/** The error that a task's failure is. */
export function errorOf(failure, task) {
    return failure.kind === "timeout" ? new TimeoutError(failure, task) : new TaskFailedError(failure, task);
}

/** The failure with which an orchestrator or activity ends that threw this. */
export function failureOf(thrown) {
    if (thrown instanceof TaskFailedError) {
        return outgoing(thrown.failure, thrown);
    }
    if (!(thrown instanceof Error)) {
        return failure("application", typeof thrown === "string" ? thrown : show(thrown), "", "");
    }
    const kind = thrown instanceof PayloadError ? "payload" : "application";
    const made = failure(kind, String(thrown.message), String(thrown.name), stackOf(thrown));
    made.nonRetryable = thrown.nonRetryable === true || thrown instanceof MisuseError;
    return made;
}

export function failure(kind, message, errorType, details) {
    return { kind, message, errorType, details, nonRetryable: false };
}

/** What came from a task is the application's failure from here on; the details tell what it was. */
function outgoing(found, thrown) {
    const isOwn = found.kind === "application" || found.kind === "payload";
    const more = [found.details, isOwn ? "" : `kind: ${found.kind}`, stackOf(thrown)].filter(Boolean);
    return { ...found, kind: isOwn ? found.kind : "application", details: more.join("\n") };
}

/** Where an error was made, in the user's own files, and what caused it. */
function stackOf(error) {
    const cause = error.cause === undefined ? "" : `caused by: ${error.cause instanceof Error ? `${error.cause}\n${stackOf(error.cause)}` : show(error.cause)}`;
    return [framesOf(error.stack), cause].filter(Boolean).join("\n");
}

function show(value) {
    try {
        return JSON.stringify(value) ?? String(value);
    } catch {
        return String(value);
    }
}
