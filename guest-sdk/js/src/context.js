// What an orchestrator is given: `context`, and `context.df` in it.

import { notThere } from "./absent.js";
import { MisuseError } from "./failure.js";
import { host } from "./host.js";
import { logger } from "./log.js";
import { fromPayload, toPayload } from "./payload.js";
import { policyOf } from "./retry.js";
import { AllTask, AnyTask, Task, TimerTask, setTimeout } from "./task.js";

/** The programming model of the original package; what is ours besides says so. */
export class DurableOrchestrationContext {
    #input;
    #customStatus = undefined;
    /** What the next generation begins with, where there is to be one; taken up when the orchestrator ends. */
    next = undefined;

    constructor(input) {
        this.#input = input;
    }

    get Task() {
        return COMPOUND;
    }

    get instanceId() {
        return host.instanceId();
    }

    get parentInstanceId() {
        return host.parentInstanceId() ?? undefined;
    }

    /** Always `undefined`: a generation is pinned to its module. */
    get version() {
        return undefined;
    }

    get isReplaying() {
        return host.isReplaying();
    }

    /** The time of the step: the same on replay. `new Date()` tells the same. */
    get currentUtcDateTime() {
        return new Date(host.currentUtcTime());
    }

    get customStatus() {
        return this.#customStatus;
    }

    getInput() {
        return fromPayload(this.#input);
    }

    setCustomStatus(status) {
        host.setCustomStatus(toPayload(status, "a custom status"));
        this.#customStatus = status;
    }

    newGuid() {
        return host.newGuid();
    }

    /** Waits for an external event. Ours: `options.timeout`, milliseconds or a `Date`, and `options.default`, the value then. */
    waitForExternalEvent(name, options) {
        // Checked here in the usual case: it is replayed for each wait of a history.
        const event = typeof name === "string" ? name : named("an event", name);
        const task = new Task(host.waitExternalEvent(event), event, false);
        if (options?.timeout !== undefined) {
            setTimeout(task, instantOf(options.timeout, "the timeout of a wait"), options.default);
        }
        return task;
    }

    callActivity(name, input) {
        const taskName = named("an activity", name);
        return new Task(host.callActivity(taskName, toPayload(input, `the input of ${taskName}`)), taskName, true);
    }

    callActivityWithRetry(name, retryOptions, input) {
        const policy = policyOf(retryOptions);
        return this.callActivity(name, input).retry(policy);
    }

    callSubOrchestrator(name, input, instanceId) {
        const taskName = named("an orchestrator", name);
        const payload = toPayload(input, `the input of ${taskName}`);
        return new Task(host.callSubOrchestrator(taskName, payload, instanceId || null), taskName, true);
    }

    callSubOrchestratorWithRetry(name, retryOptions, input, instanceId) {
        const policy = policyOf(retryOptions);
        return this.callSubOrchestrator(name, input, instanceId).retry(policy);
    }

    createTimer(fireAt) {
        return new TimerTask(host.createTimer(instantOf(fireAt, "a timer")));
    }

    /** Begins anew with this input when the orchestrator ends, with the events that nobody took. */
    continueAsNew(input) {
        this.next = { input: toPayload(input, "the input of the next generation") };
    }

    /** Ours: starts an instance that nobody waits for, and returns its id. */
    startOrchestrator(name, input, instanceId) {
        const orchestrator = named("an orchestrator", name);
        return host.startOrchestrator(orchestrator, toPayload(input, `the input of ${orchestrator}`), instanceId ?? null);
    }

    /** Ours: raises an event for another instance. */
    raiseEvent(instanceId, name, data) {
        host.raiseEvent(instanceId, named("an event", name), toPayload(data, `the event ${name}`));
    }

    /** Ours: a URL with which whoever has it may raise this event, until then: milliseconds from now, or a `Date`. */
    callbackUrl(event, expires = SEVEN_DAYS) {
        return host.callbackUrl(named("an event", event), instantOf(expires, "the end of a callback URL"));
    }

    callHttp() {
        notThere("callHttp", "call an activity that an HTTP endpoint serves (`fermata serve --activity NAME=URL`)");
    }

    callEntity() {
        notThere("callEntity", NO_ENTITIES);
    }

    signalEntity() {
        notThere("signalEntity", NO_ENTITIES);
    }

    lock() {
        notThere("lock", NO_ENTITIES);
    }

    isLocked() {
        notThere("isLocked", NO_ENTITIES);
    }
}

const SEVEN_DAYS = 7 * 24 * 60 * 60 * 1000;
const NO_ENTITIES = "there are no entities: keep the state in an orchestrator that continues as new";

const COMPOUND = {
    all: (tasks) => new AllTask(tasks),
    any: (tasks) => new AnyTask(tasks),
};

/** What every function is given. Its members lie in the prototype: they are there before an instance is. */
class InvocationContext {
    constructor(functionName) {
        this.functionName = functionName;
    }
}
Object.assign(InvocationContext.prototype, logger());

/** The `context` of an orchestrator. */
export class OrchestrationContext extends InvocationContext {
    constructor(name, input) {
        super(name);
        this.df = new DurableOrchestrationContext(input);
    }

    get invocationId() {
        return host.executionId();
    }
}

/** The `context` of an activity. What the contract tells about its task is ours: `taskKey`, `instanceId` and `attempt`. */
export class ActivityContext extends InvocationContext {
    constructor(name, input, { taskKey, instanceId, attempt }) {
        super(name);
        Object.assign(this, { taskKey, instanceId, attempt, bindings: { input } });
    }

    get invocationId() {
        return `${this.taskKey}/${this.attempt}`;
    }
}

function named(what, name) {
    const found = typeof name === "string" ? name : name?.functionName;
    if (typeof found !== "string" || found === "") {
        throw new MisuseError(`${what} has a name, which is a string and not empty`);
    }
    return found;
}

/** An instant, in milliseconds: of a `Date`, or so many milliseconds from now. */
function instantOf(when, what) {
    const instant = when instanceof Date ? when.getTime() : typeof when === "number" ? host.currentUtcTime() + when : Number(when?.valueOf());
    if (!Number.isFinite(instant)) {
        throw new MisuseError(`${what} is due at a valid \`Date\`, and not at ${when}`);
    }
    return instant;
}
