// What a module holds, and how a user's code says so.

import { absentMembers, notThere } from "./absent.js";
import { DurableOrchestrationContext } from "./context.js";
import { MisuseError } from "./failure.js";
import { policyOf } from "./retry.js";

/** Handlers by name. */
export const orchestrators = new Map();
export const activities = new Map();

/** An orchestrator in the form of version 3, which has no name yet. */
class Unnamed {
    constructor(handler, name) {
        this.handler = handler;
        this.name = name;
    }
}

/** Version 3: `module.exports = df.orchestrator(function* (context) { … })`. It is called as its file is, or by `options.name`. */
export function orchestrator(handler, options = {}) {
    checkHandler("df.orchestrator", handler);
    return new Unnamed(handler, options.name);
}

/** Version 4: registers an orchestrator, and returns what another one calls it by. */
export function orchestration(name, options) {
    const handler = options?.handler ?? options;
    checkHandler(`df.app.orchestration(${JSON.stringify(name)}, …)`, handler);
    register(orchestrators, "orchestrator", name, handler);
    return callable(name, (input, instanceId) => running().callSubOrchestrator(name, input, instanceId));
}

/** Version 4: registers an activity, `(input, context) => output`, and returns what an orchestrator calls it by. */
export function activity(name, options) {
    const handler = options?.handler ?? options;
    checkHandler(`df.app.activity(${JSON.stringify(name)}, …)`, handler);
    register(activities, "activity", name, (input, context) => handler(input, context));
    return callable(name, (input) => running().callActivity(name, input));
}

export const entity = () => notThere("app.entity", "there are no entities: keep the state in an orchestrator that continues as new");
export const setExceptionPropertiesProvider = () => notThere("app.setExceptionPropertiesProvider", "put what a receiver needs into the error's message");
export const client = absentMembers("app.client", "clients start instances and raise events over the host's HTTP API");

/** Registers what a file exports, in the form of version 3: an orchestrator, or a function that is an activity, is called as the file is. */
export function registerExports(stem, exports) {
    for (const [key, value] of Object.entries(exports)) {
        const isWhole = key === "default" || key === "module.exports";
        if (value instanceof Unnamed) {
            register(orchestrators, "orchestrator", value.name ?? (isWhole ? stem : key), value.handler);
        } else if (isWhole && typeof value === "function" && !value.functionName) {
            register(activities, "activity", stem, (input, context) => value(context, input));
        }
    }
}

let current;

/** Makes a context the one in which registered functions are called. */
export function enter(context) {
    current = context;
}

let activityNow;

/** Ours: what an activity is told about its task: `taskKey`, the same for every attempt, `instanceId` and `attempt`. */
export const activityContext = () => activityNow ?? notThere("activityContext", "it is there while an activity runs");

export function enterActivity(context) {
    activityNow = context;
}

function running() {
    if (!(current instanceof DurableOrchestrationContext)) {
        throw new MisuseError("only an orchestrator that runs can call an activity or another orchestrator");
    }
    return current;
}

function callable(name, call) {
    const registered = (...args) => {
        const task = call(...args);
        task.withRetry = (options) => task.retry(policyOf(options));
        return task;
    };
    registered.functionName = name;
    return registered;
}

function register(where, what, name, handler) {
    if (typeof name !== "string" || name === "") {
        throw new MisuseError(`an ${what} has a name, which is a string and not empty`);
    }
    if (where.has(name)) {
        throw new MisuseError(`there are two ${where === activities ? "activities" : "orchestrators"} named ${name}`);
    }
    where.set(name, handler);
}

function checkHandler(call, handler) {
    if (typeof handler !== "function") {
        throw new MisuseError(`\`${call}\` needs a function`);
    }
}
