// Promises whose jobs are run by whoever drives the guest, and by nobody else. So it is known when all that could run has run, which is when
// an orchestrator blocks; and the order of jobs is that of their making, the same on replay. (ECMAScript 2025, 27.2.)

const jobs = [];
let nextJob = 0;

/** Runs jobs until there are none. */
export function runJobs() {
    while (nextJob < jobs.length) {
        const job = jobs[nextJob];
        nextJob += 1;
        job();
    }
    jobs.length = nextJob = 0;
}

/** Puts a job behind all others. */
export function enqueue(job) {
    jobs.push(job);
}

/** A thenable with this method is not asked for a `then`: it hands over its value as it is, be that a thenable itself. */
export const SUBSCRIBE = Symbol("subscribe");

const isCallable = (value) => typeof value === "function";

class FermataPromise {
    #state = "pending";
    #value = undefined;
    #reactions = [];

    constructor(executor) {
        if (!isCallable(executor)) {
            throw new TypeError("a promise is made with a function");
        }
        const { resolve, reject } = this.#resolvers();
        try {
            executor(resolve, reject);
        } catch (error) {
            reject(error);
        }
    }

    then(onFulfilled, onRejected) {
        return new FermataPromise((resolve, reject) => {
            const react = (handler, otherwise) => () => {
                if (!isCallable(handler)) {
                    return otherwise(this.#value);
                }
                try {
                    resolve(handler(this.#value));
                } catch (error) {
                    reject(error);
                }
            };
            const reaction = {
                fulfilled: react(onFulfilled, resolve),
                rejected: react(onRejected, reject),
            };
            this.#state === "pending" ? this.#reactions.push(reaction) : enqueue(reaction[this.#state]);
        });
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

    /** The functions that decide a promise; only the first call counts. */
    #resolvers() {
        let isDecided = false;
        const once = (act) => (value) => {
            if (!isDecided) {
                isDecided = true;
                act(value);
            }
        };
        return { resolve: once((value) => this.#resolve(value)), reject: once((error) => this.#settle("rejected", error)) };
    }

    #resolve(value) {
        if (value === this) {
            return this.#settle("rejected", new TypeError("a promise can not be resolved with itself"));
        }
        if (value === null || (typeof value !== "object" && !isCallable(value))) {
            return this.#settle("fulfilled", value);
        }
        if (isCallable(value[SUBSCRIBE])) {
            const settle = (state) => (result) => this.#settle(state, result);
            return value[SUBSCRIBE](settle("fulfilled"), settle("rejected"));
        }
        const { resolve, reject } = this.#resolvers();
        let then;
        try {
            then = value.then;
        } catch (error) {
            return reject(error);
        }
        if (!isCallable(then)) {
            return this.#settle("fulfilled", value);
        }
        enqueue(() => {
            try {
                then.call(value, resolve, reject);
            } catch (error) {
                reject(error);
            }
        });
    }

    #settle(state, value) {
        this.#state = state;
        this.#value = value;
        this.#reactions.forEach((reaction) => enqueue(reaction[state]));
        this.#reactions = [];
    }

    static resolve(value) {
        return value instanceof FermataPromise ? value : new FermataPromise((resolve) => resolve(value));
    }

    static reject(error) {
        return new FermataPromise((_, reject) => reject(error));
    }

    static withResolvers() {
        const made = {};
        made.promise = new FermataPromise((resolve, reject) => Object.assign(made, { resolve, reject }));
        return made;
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
