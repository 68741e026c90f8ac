// The interface `guest` of the contract. The entry of every module exports it.

import fermata from "fermata:orchestration/host@1.0.0";
import random from "wasi:random/random@0.2.0";

import { activities, orchestrators } from "./app.js";
import { failureOf } from "./failure.js";
import { setHost } from "./host.js";
import { setRandomness } from "./random.js";
import { runActivity, runOrchestrator } from "./run.js";

export const guest = {
    describe: () => ({ orchestrators: [...orchestrators.keys()], activities: [...activities.keys()] }),
    runOrchestrator: (name, input) => run(() => runOrchestrator(name, input)),
    runActivity: (name, input, context) => run(() => runActivity(name, input, context)),
};

/** Runs in an instance: only now is there a host. */
function run(body) {
    setHost(fermata);
    setRandomness(random.getRandomBytes);
    try {
        return body();
    } catch (thrown) {
        throw isFailure(thrown) ? thrown : failureOf(thrown);
    }
}

const isFailure = (thrown) => !(thrown instanceof Error) && typeof thrown?.kind === "string" && "errorType" in thrown;
