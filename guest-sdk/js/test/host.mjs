// Plays the host for the SDK, natively: tasks complete in the order that a test says, and where the orchestrator blocks it is abandoned, as
// a host does that evicts it. Running it again with more completions is a replay.

import { setHost } from "../src/host.js";
import "../src/globals.js";

/** Thrown where the orchestrator would block. */
export class Blocked extends Error {}

export function failureRecord(message, kind = "application") {
    return { kind, message, errorType: "Boom", details: "", nonRetryable: false };
}

/** A host in which these tasks, by handle, have completed in this order: `[handle, value]`, or `[handle, error record, "failed"]`. */
export function playHost(completions = [], input = "null") {
    const calls = [];
    const handed = new Set();
    const taken = new Set();
    let created = 0;
    const create = (...call) => {
        calls.push(call);
        created += 1;
        return created - 1;
    };
    // A task that does not exist yet has not completed, whatever the test says will happen.
    const done = () => completions.filter(([handle]) => handle < created);
    const outcome = ([, value, failed]) => (failed ? { tag: "err", val: value } : { tag: "ok", val: JSON.stringify(value ?? null) });
    const take = (completion) => {
        handed.add(completion[0]);
        taken.add(completion[0]);
        const { tag, val } = outcome(completion);
        if (tag === "err") {
            throw val;
        }
        return val;
    };
    const of = (handle) => done().find((each) => each[0] === handle);
    const block = (...call) => {
        calls.push(["blocked", ...call]);
        throw new Blocked(JSON.stringify(call));
    };
    const fake = {
        waitExternalEvent: (name) => create("wait", name),
        callActivity: (name, payload) => create("activity", name, payload),
        callSubOrchestrator: (name, payload, id) => create("child", name, payload, id),
        createTimer: (due) => create("timer", due),
        setRetry: (...call) => void calls.push(["retry", ...call]),
        setTimeout: (...call) => void calls.push(["timeout", ...call]),
        cancelTask: (handle) => (calls.push(["cancel", handle]), true),
        awaitTask: (handle) => (of(handle) ? take(of(handle)) : block("await", handle)),
        taskAny(handles) {
            const first = done().find(([handle]) => handles.includes(handle));
            if (!first) {
                return block("any", handles);
            }
            handed.add(first[0]);
            return first[0];
        },
        taskAll(handles) {
            const failed = done().find((each) => handles.includes(each[0]) && each[2]);
            if (failed) {
                return take(failed);
            }
            return handles.every(of) ? handles.map((handle) => take(of(handle))) : block("all", handles);
        },
        nextCompleted() {
            const next = done().find(([handle]) => !handed.has(handle));
            if (!next) {
                return block("next");
            }
            handed.add(next[0]);
            return next[0];
        },
        taskResult(handle) {
            taken.add(handle);
            return of(handle) && outcome(of(handle));
        },
        instanceId: () => "i",
        parentInstanceId: () => null,
        executionId: () => "x",
        currentUtcTime: () => 1000,
        newGuid: () => "guid",
        isReplaying: () => false,
        setCustomStatus: (status) => void calls.push(["status", status]),
        startOrchestrator: (...call) => (calls.push(["start", ...call]), "started"),
        raiseEvent: (...call) => void calls.push(["raise", ...call]),
        callbackUrl: (event, expires) => `http://host/${event}/${expires}`,
        log: (...call) => void calls.push(["log", ...call]),
        continueAsNew(...call) {
            calls.push(["continue", ...call]);
            throw new Blocked("continued");
        },
    };
    setHost(fake);
    return { calls, taken, input };
}
