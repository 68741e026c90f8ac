// How often, and how soon, an activity or a sub-orchestration that failed is tried again.

import { MisuseError } from "./failure.js";

/** A retry policy, with the names of the original package; intervals are in milliseconds. */
export class RetryOptions {
    constructor(firstRetryIntervalInMilliseconds, maxNumberOfAttempts) {
        this.firstRetryIntervalInMilliseconds = firstRetryIntervalInMilliseconds;
        this.maxNumberOfAttempts = maxNumberOfAttempts;
        this.backoffCoefficient = 1;
        this.maxRetryIntervalInMilliseconds = undefined;
        this.retryTimeoutInMilliseconds = undefined;
        /** How long one attempt at an activity may take. */
        this.attemptTimeoutInMilliseconds = undefined;
        /** Failures with one of these error types are not tried again. */
        this.nonRetryable = [];
    }
}

/** The policy as the contract has it. */
export function policyOf(options) {
    const { firstRetryIntervalInMilliseconds: first, maxNumberOfAttempts: attempts } = options ?? {};
    const coefficient = options?.backoffCoefficient ?? 1;
    if (!(Number.isFinite(first) && first > 0)) {
        throw new MisuseError(`the first interval of a retry policy is a number of milliseconds above 0, and not ${first}`);
    }
    if (!(Number.isInteger(attempts) && attempts >= 1)) {
        throw new MisuseError(`a retry policy makes a whole number of attempts, at least 1, and not ${attempts}`);
    }
    if (!(Number.isFinite(coefficient) && coefficient >= 1)) {
        throw new MisuseError(`the backoff coefficient of a retry policy is a number, at least 1, and not ${coefficient}`);
    }
    return {
        maxAttempts: attempts,
        firstInterval: first,
        backoffCoefficient: coefficient,
        maxInterval: options.maxRetryIntervalInMilliseconds ?? null,
        timeout: options.retryTimeoutInMilliseconds ?? null,
        attemptTimeout: options.attemptTimeoutInMilliseconds ?? null,
        nonRetryable: options.nonRetryable ?? [],
    };
}
