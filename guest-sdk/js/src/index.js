// What a user's code imports as `durable-functions` or `fermata-guest`.

import * as app from "./app.js";
import { absentMembers, notThere } from "./absent.js";

export { app };
export { activityContext, orchestrator } from "./app.js";
export { DurableOrchestrationContext } from "./context.js";
export { DurableError, MisuseError, PayloadError, TaskFailedError, TimeoutError } from "./failure.js";
export { RetryOptions } from "./retry.js";
export { Task, TimerTask } from "./task.js";

const overHttp = "clients start instances and raise events over the host's HTTP API";
const noEntities = "there are no entities: keep the state in an orchestrator that continues as new";
const noTriggers = `a guest has no triggers: ${overHttp}`;

export const getClient = () => notThere("getClient", overHttp);
export const entity = () => notThere("entity", noEntities);
export const input = absentMembers("input", overHttp);
export const trigger = absentMembers("trigger", noTriggers);
export class EntityId {
    constructor() {
        notThere("EntityId", noEntities);
    }
}
export class ManagedIdentityTokenSource {
    constructor() {
        notThere("ManagedIdentityTokenSource", "an activity that is served by an HTTP endpoint can fetch tokens");
    }
}
