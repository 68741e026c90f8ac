// Promises whose jobs are run by whoever drives the guest, and by nobody else. So it is known when all that could run has run, which is when
// an orchestrator blocks; and the order of jobs is that of their making, the same on replay. (ECMAScript 2025, 27.2.)

const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;

/** What a promise is made with where no code of a user decides it. */
const BARE = Symbol("bare");

/** Jobs that wait, in their order: a function and what it is called with. */
let jobs = [];

/** Runs jobs until there are none. */
export function runJobs() {
    while (jobs.length > 0) {
        const now = jobs;
        jobs = [];
        for (let at = 0; at < now.length; at += 3) {
            now[at](now[at + 1], now[at + 2]);
        }
    }
}

/** Puts a job behind all others. */
export function enqueue(job, first, second) {
    jobs.push(job, first, second);
}

/**
 * A thenable with this method is not asked for a `then`: it settles the promise that it is given with `fulfil` or `reject`, with its value as it is,
 * be that a thenable itself.
 */
export const SUBSCRIBE = Symbol("subscribe");

const isCallable = (value) => typeof value === "function";

class FermataPromise {
    constructor(executor) {
        this._state = PENDING;
        this._value = undefined;
        this._reactions = undefined;
        if (executor === BARE) {
            return;
        }
        if (!isCallable(executor)) {
            throw new TypeError("a promise is made with a function");
        }
        const { resolve, reject } = resolversOf(this);
        try {
            executor(resolve, reject);
        } catch (error) {
            reject(error);
        }
    }

    then(onFulfilled, onRejected) {
        const derived = new FermataPromise(BARE);
        const reaction = { derived, onFulfilled, onRejected };
        if (this._state !== PENDING) {
            enqueue(react, reaction, this);
        } else if (this._reactions) {
            this._reactions.push(reaction);
        } else {
            this._reactions = [reaction];
        }
        return derived;
    }

    catch(onRejected) {
        return this.then(undefined, onRejected);
    }

    finally(onFinally) {
        const first = (then) => (value) => FermataPromise.resolve(onFinally()).then(() => then(value));
        const rethrow = (error) => {
            throw error;
        };
        return isCallable(onFinally) ? this.then(first((value) => value), first(rethrow)) : this.then();
    }

    get [Symbol.toStringTag]() {
        return "Promise";
    }

    static resolve(value) {
        if (value instanceof FermataPromise) {
            return value;
        }
        const promise = new FermataPromise(BARE);
        resolve(promise, value);
        return promise;
    }

    static reject(error) {
        const promise = new FermataPromise(BARE);
        reject(promise, error);
        return promise;
    }

    static withResolvers() {
        const promise = new FermataPromise(BARE);
        return { promise, ...resolversOf(promise) };
    }

    static try(callback, ...args) {
        return new FermataPromise((resolve) => resolve(callback(...args)));
    }

    static all(values) {
        return gather(values, (promise, set, _resolve, reject) => promise.then(set, reject));
    }

    static allSettled(values) {
        return gather(values, (promise, set) =>
            promise.then(
                (value) => set({ status: "fulfilled", value }),
                (reason) => set({ status: "rejected", reason }),
            ),
        );
    }

    static any(values) {
        const failed = (errors) => {
            throw new AggregateError(errors, "all promises were rejected");
        };
        return gather(values, (promise, set, resolve) => promise.then(resolve, set), failed);
    }

    static race(values) {
        return new FermataPromise((resolve, reject) => {
            for (const value of values) {
                FermataPromise.resolve(value).then(resolve, reject);
            }
        });
    }
}

/** The job of a reaction: what it does with the value of the promise that it waited for decides the one derived. */
function react({ derived, onFulfilled, onRejected }, { _state: state, _value: value }) {
    const handler = state === FULFILLED ? onFulfilled : onRejected;
    if (!isCallable(handler)) {
        return state === FULFILLED ? fulfil(derived, value) : reject(derived, value);
    }
    let result;
    try {
        result = handler(value);
    } catch (error) {
        return reject(derived, error);
    }
    resolve(derived, result);
}

/** Decides a promise with a value, or with what a thenable comes to. */
function resolve(promise, value) {
    if (value === promise) {
        return reject(promise, new TypeError("a promise can not be resolved with itself"));
    }
    if (value === null || (typeof value !== "object" && !isCallable(value))) {
        return fulfil(promise, value);
    }
    if (value[SUBSCRIBE]) {
        return value[SUBSCRIBE](promise);
    }
    let then;
    try {
        then = value.then;
    } catch (error) {
        return reject(promise, error);
    }
    if (!isCallable(then)) {
        return fulfil(promise, value);
    }
    enqueue(adopt, promise, { value, then });
}

/** The job of taking over what a thenable comes to. */
function adopt(promise, { value, then }) {
    const resolvers = resolversOf(promise);
    try {
        then.call(value, resolvers.resolve, resolvers.reject);
    } catch (error) {
        resolvers.reject(error);
    }
}

/** The functions that decide a promise; only the first call counts. */
function resolversOf(promise) {
    let isDecided = false;
    const once = (decide) => (value) => {
        if (!isDecided) {
            isDecided = true;
            decide(promise, value);
        }
    };
    return { resolve: once(resolve), reject: once(reject) };
}

/** Settles a promise with a value, as it is. */
export function fulfil(promise, value) {
    settle(promise, FULFILLED, value);
}

/** Settles a promise with an error. */
export function reject(promise, error) {
    settle(promise, REJECTED, error);
}

function settle(promise, state, value) {
    promise._state = state;
    promise._value = value;
    const reactions = promise._reactions;
    promise._reactions = undefined;
    reactions?.forEach((reaction) => enqueue(react, reaction, promise));
}

/** Waits for each of the values as `attach` says, and resolves to what they set. */
function gather(values, attach, finish = (results) => results) {
    return new FermataPromise((resolve, reject) => {
        const results = [];
        let remaining = 1;
        const done = () => {
            remaining -= 1;
            if (remaining === 0) {
                resolve(FermataPromise.try(finish, results));
            }
        };
        for (const value of values) {
            const index = results.push(undefined) - 1;
            remaining += 1;
            const set = (result) => {
                results[index] = result;
                done();
            };
            attach(FermataPromise.resolve(value), set, resolve, reject);
        }
        done();
    });
}

Object.defineProperty(FermataPromise, "name", { value: "Promise" });

export { FermataPromise as Promise };
