/**
 * Orchestrators for Fermata in JavaScript and TypeScript: the programming model of the npm package `durable-functions`.
 *
 * What an orchestrator waits for may take days, and any number of restarts of the host: it is run again from its start with what its history
 * holds, up to the point where it stood. What is ours, and not the original package's, says so.
 */
declare module "durable-functions" {
    export * from "fermata-guest";
}

declare module "fermata-guest" {
    export * as app from "fermata-guest/app";

    /** What can be written as JSON. */
    export type Json = string | number | boolean | null | undefined | Json[] | { [key: string]: Json };

    // ---- Orchestrators

    /** An orchestrator: it yields tasks, and is handed what they come to. */
    export type OrchestrationHandler = (context: OrchestrationContext) => Generator<Task<unknown>, unknown, any>;

    /** Ours: the same with `await`. Whatever it awaits comes from tasks in the end; promises run in an order that replays. */
    export type AsyncOrchestrationHandler = (context: OrchestrationContext) => Promise<unknown>;

    /** An orchestrator in the form of version 3, which is called as its file is. */
    export interface UnnamedOrchestrator {
        readonly handler: OrchestrationHandler | AsyncOrchestrationHandler;
        readonly name?: string;
    }

    /**
     * Version 3: `module.exports = df.orchestrator(function* (context) { … })`.
     *
     * @param options ours: `name` in the place of the file's.
     */
    export function orchestrator(
        handler: OrchestrationHandler | AsyncOrchestrationHandler,
        options?: { name?: string },
    ): UnnamedOrchestrator;

    /** Writes to the guest's log: once, when the step is durable, and not when it is replayed. */
    export interface Logger {
        (...words: unknown[]): void;
        info(...words: unknown[]): void;
        warn(...words: unknown[]): void;
        error(...words: unknown[]): void;
        verbose(...words: unknown[]): void;
    }

    /** What every function is given. */
    export interface InvocationContext {
        /** The name of the orchestrator or activity. */
        readonly functionName: string;
        /** Of an orchestrator the id of its execution, of an activity its task's key and the attempt. */
        readonly invocationId: string;
        readonly log: Logger;
        trace(...words: unknown[]): void;
        debug(...words: unknown[]): void;
        info(...words: unknown[]): void;
        warn(...words: unknown[]): void;
        error(...words: unknown[]): void;
    }

    export interface OrchestrationContext extends InvocationContext {
        readonly df: DurableOrchestrationContext;
    }

    export interface DurableOrchestrationContext {
        /** The id of this instance. */
        readonly instanceId: string;
        /** The id of the instance whose child this one is. */
        readonly parentInstanceId: string | undefined;
        /** Always `undefined`: a generation is pinned to its module. */
        readonly version: undefined;
        /** Whether the code that runs now has run before. What an orchestrator decides must not depend on it. */
        readonly isReplaying: boolean;
        /** The time of the step; `new Date()` tells the same. */
        readonly currentUtcDateTime: Date;
        /** What `setCustomStatus` was called with last. */
        readonly customStatus: unknown;

        readonly Task: {
            /** Complete when every task is; fails when the first one does. Its value is an array, in the order of the tasks. */
            all<const T extends readonly Task<unknown>[]>(tasks: T): Task<{ -readonly [K in keyof T]: T[K] extends Task<infer V> ? V : never }>;
            /** Complete when the first of the tasks is; its value is that task, to be compared with `===`. */
            any<T extends Task<unknown>>(tasks: readonly T[]): Task<Winner<T>>;
        };

        getInput<T = any>(): T;

        /**
         * Waits for an external event. One that was raised before is there at once; of several waits for one name the newest gets it.
         *
         * @param options ours: `timeout`, in milliseconds or an instant, ends the wait, with `default` as its value or with a `TimeoutError`.
         */
        waitForExternalEvent<T = any>(name: string, options?: { timeout?: number | Date; default?: T }): HostTask<T>;

        /** Calls an activity, of this module or served elsewhere. It runs at least once. */
        callActivity<T = any>(name: string | RegisteredActivity<any, T>, input?: unknown): HostTask<T>;
        callActivityWithRetry<T = any>(name: string | RegisteredActivity<any, T>, retryOptions: RetryOptions, input?: unknown): HostTask<T>;
        /** Starts another orchestrator, written in whatever language, and waits for its output. */
        callSubOrchestrator<T = any>(name: string | RegisteredOrchestration, input?: unknown, instanceId?: string): HostTask<T>;
        callSubOrchestratorWithRetry<T = any>(
            name: string | RegisteredOrchestration,
            retryOptions: RetryOptions,
            input?: unknown,
            instanceId?: string,
        ): HostTask<T>;

        /** A timer. It costs nothing while it waits, be it a year. Cancel it when something else came first. */
        createTimer(fireAt: Date): TimerTask;

        /** Begins anew with this input, and without a history, when the orchestrator ends. Events that nobody took are carried over. */
        continueAsNew(input?: unknown): void;

        /** What the instance shows beside its status: JSON of at most 16 KiB. */
        setCustomStatus(status: unknown): void;

        /** A fresh UUID, the same on replay. */
        newGuid(input?: string): string;

        /** Ours: starts an instance that nobody waits for, and returns its id. Nothing is started where that id has one that has not ended. */
        startOrchestrator(name: string | RegisteredOrchestration, input?: unknown, instanceId?: string): string;
        /** Ours: raises an event for another instance. */
        raiseEvent(instanceId: string, name: string, data?: unknown): void;
        /** Ours: a URL with which whoever has it may raise this event, for so many milliseconds or until then; seven days where that is not said. */
        callbackUrl(event: string, expires?: number | Date): string;

        /** @deprecated Not there: call an activity that an HTTP endpoint serves. */
        callHttp(options: unknown): never;
        /** @deprecated Not there: keep the state in an orchestrator that continues as new. */
        callEntity(...args: unknown[]): never;
        /** @deprecated Not there: keep the state in an orchestrator that continues as new. */
        signalEntity(...args: unknown[]): never;
    }

    // ---- Tasks

    /** Something to wait for: `yield` it, or `await` it. */
    export interface Task<T = unknown> extends PromiseLike<T> {
        /** Whether the orchestrator has seen it complete; by the order of history, so the same on replay. */
        readonly isCompleted: boolean;
        readonly isFaulted: boolean;
        /** Its value where it is complete, its error where it has failed. */
        readonly result: T;
    }

    /** The task that won. It is complete: its value is in `result`. */
    export type Winner<T extends Task<unknown>> = Omit<T, "then">;

    /** A task of the host's. */
    export interface HostTask<T = unknown> extends Task<T> {
        /** Ours: gives it up. A wait is closed and takes no event any more; an activity goes on, unheard. */
        cancel(): void;
        readonly isCancelled: boolean;
    }

    export interface TimerTask extends HostTask<undefined> {
        readonly isCanceled: boolean;
    }

    /** How often, and how soon, what failed is tried again. */
    export class RetryOptions {
        constructor(firstRetryIntervalInMilliseconds: number, maxNumberOfAttempts: number);
        readonly firstRetryIntervalInMilliseconds: number;
        readonly maxNumberOfAttempts: number;
        /** Each interval is the one before times this; 1 where it is not set. */
        backoffCoefficient: number;
        maxRetryIntervalInMilliseconds: number | undefined;
        /** After this time from the first attempt none begins. */
        retryTimeoutInMilliseconds: number | undefined;
        /** Ours: how long one attempt at an activity may take. */
        attemptTimeoutInMilliseconds: number | undefined;
        /** Ours: errors of these names are not tried again. Neither are those with a property `nonRetryable` that is true. */
        nonRetryable: string[];
    }

    // ---- Activities

    export interface ActivityContext extends InvocationContext {
        /** Ours: the same for every attempt at one task, and for no other task anywhere: what to hand on as an idempotency key. */
        readonly taskKey: string;
        /** Ours: the instance whose task it is. */
        readonly instanceId: string;
        /** Ours: 1 for the first attempt. */
        readonly attempt: number;
    }

    export type ActivityHandler<I = any, O = unknown> = (input: I, context: ActivityContext) => O | Promise<O>;

    /** Ours: what the activity that runs is told about its task. */
    export function activityContext(): ActivityContext;

    export type RegisteredActivity<I = any, O = any> = { readonly functionName: string } & ((input?: I) => HostTask<O> & {
        withRetry(retryOptions: RetryOptions): HostTask<O>;
    });

    export type RegisteredOrchestration<O = any> = { readonly functionName: string } & ((input?: unknown, instanceId?: string) => HostTask<O> & {
        withRetry(retryOptions: RetryOptions): HostTask<O>;
    });

    // ---- Errors

    /** An error of the programming model. */
    export class DurableError extends Error {}
    /** A use of it that can not be meant. */
    export class MisuseError extends DurableError {}
    /** JSON that does not fit, or a value that is no JSON. */
    export class PayloadError extends DurableError {}

    export interface FailureDetails {
        /** The name of the error, such as `OutOfStock`. */
        errorType: string;
        errorMessage: string;
        stackTrace?: string;
        isNonRetriable: boolean;
        isCausedBy(errorType: string): boolean;
    }

    /** Thrown at the `yield` or `await` of an activity or a sub-orchestration that failed. */
    export class TaskFailedError extends DurableError {
        readonly failureDetails: FailureDetails;
        readonly taskName?: string;
        readonly taskId?: number;
        /** Ours: `application`, `payload`, `trap`, `not-found`, `limit`, `timeout`, `terminated`, `conflict` or `unavailable`. */
        readonly kind: string;
    }

    /** Ours: it took longer than it might. */
    export class TimeoutError extends TaskFailedError {}
}

declare module "fermata-guest/app" {
    import type {
        ActivityHandler,
        AsyncOrchestrationHandler,
        OrchestrationHandler,
        RegisteredActivity,
        RegisteredOrchestration,
    } from "fermata-guest";

    type Handler = OrchestrationHandler | AsyncOrchestrationHandler;

    /** Version 4: registers an orchestrator. */
    export function orchestration(name: string, handler: Handler | { handler: Handler }): RegisteredOrchestration;

    /** Version 4: registers an activity. */
    export function activity<I = any, O = any>(
        name: string,
        options: ActivityHandler<I, O> | { handler: ActivityHandler<I, O> },
    ): RegisteredActivity<I, O>;
}

// ---- Globals

/** Writes to the guest's log. */
interface Console {
    log(...words: unknown[]): void;
    info(...words: unknown[]): void;
    debug(...words: unknown[]): void;
    trace(...words: unknown[]): void;
    warn(...words: unknown[]): void;
    error(...words: unknown[]): void;
}
declare var console: Console;

/** Random numbers: the same on replay in an orchestrator, real in an activity. So are those of `Math.random`. */
interface Crypto {
    getRandomValues<T extends ArrayBufferView | null>(array: T): T;
    randomUUID(): `${string}-${string}-${string}-${string}-${string}`;
}
declare var crypto: Crypto;

declare function queueMicrotask(job: () => void): void;
