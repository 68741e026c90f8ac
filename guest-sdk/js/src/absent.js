// What the original package, Node or a browser has and a guest has not: each fails with a sentence when it is used.

import { MisuseError } from "./failure.js";

/** Throws: `name` is not there; `instead` is what to do. */
export function notThere(name, instead) {
    throw new MisuseError(`\`${name}\` is not there in a Fermata guest: ${instead}`);
}

const leaveToActivities = "leave it to an activity that is served by an HTTP endpoint";

/**
 * Stands for a module that is not there: one of Node's, or what `instead` is told for. It can be loaded, for many libraries load more than they
 * use; what is called throws.
 */
export function absentModule(name, instead = `it is Node's; ${leaveToActivities}`) {
    // Members are looked up in the prototype: a bundler copies a module's own members when it is imported.
    return Object.create(absentMembers(name, instead));
}

/** Whose members, and theirs, can be called, to no good. */
export function absentMembers(name, instead) {
    const get = (_, member) => {
        if (typeof member === "symbol" || ["__esModule", "default", "then", "prototype"].includes(member)) {
            return undefined;
        }
        return absentMembers(`${name}.${member}`, instead);
    };
    const use = () => notThere(name, instead);
    return new Proxy(function () {}, { get, apply: use, construct: use });
}

/** Gives the globals that people may reach for, and which are not there, a sentence of their own. */
export function explainAbsentGlobals() {
    const timer = "an orchestrator waits with `context.df.createTimer`, an activity ends and is tried again";
    const absent = {
        setTimeout: timer,
        setInterval: timer,
        setImmediate: "use `queueMicrotask`",
        fetch: leaveToActivities,
        XMLHttpRequest: leaveToActivities,
        WebSocket: leaveToActivities,
    };
    for (const [name, instead] of Object.entries(absent)) {
        globalThis[name] ??= function () {
            notThere(name, instead);
        };
    }
    globalThis.clearTimeout ??= () => {};
    globalThis.clearInterval ??= () => {};
    // Many libraries ask for it without need.
    globalThis.process ??= { env: {}, argv: [], versions: {}, cwd: () => "/", nextTick: (job) => queueMicrotask(job) };
    globalThis.global ??= globalThis;
}
