// What the scenarios share: how they get the client, which calls of it each makes, and how they wait.
"use strict";

const assert = require("node:assert/strict");
const df = require("durable-functions");
const { InvocationContext } = require("@azure/functions");

// Long enough for a busy machine; nothing waits for it to pass.
const PATIENCE = 60_000;

// What the class has besides its public calls, which JavaScript does not tell apart.
const INTERNAL = [
    "constructor",
    "createGenericError",
    "createHttpResponse",
    "extractUniqueWebhookOrigins",
    "extractWebhookOrigins",
    "getClientResponseLinks",
    "getDistributedTracingHeaders",
    "getStatusInternal",
    "hasValidRequestUrl",
];

// A scenario that makes these calls of the client.
function covers(calls, run) {
    return { calls, run };
}

// The client, the way functions get it.
function connect(binding) {
    // Without it the client takes the host of its links for one behind Azure's tools, and asks localhost:7071 instead.
    process.env.WEBSITE_HOSTNAME = "localhost";
    const input = df.input.durableClient();
    const context = new InvocationContext({ options: { extraInputs: [input] } });
    context.extraInputs.set(input, binding);
    return df.getClient(context);
}

// Runs a scenario, which must make the calls that it is said to make.
async function run(name, { calls, run }, binding) {
    const made = new Set();
    const client = connect(binding);
    const watched = new Proxy(client, {
        get(_, call) {
            made.add(call);
            return typeof client[call] === "function" ? client[call].bind(client) : client[call];
        },
    });
    await run(watched, binding);
    const left = calls.filter((call) => !made.has(call));
    assert.deepEqual(left, [], `${name} does not make these calls`);
}

// Every public call of the client has a scenario, and no scenario is about a call that there is not.
function checkCoverage(scenarios) {
    const client = connect({ taskHubName: "", creationUrls: {}, managementUrls: {} });
    const known = Object.getOwnPropertyNames(Object.getPrototypeOf(client));
    const covered = Object.values(scenarios).flatMap(({ calls }) => calls);
    const without = known.filter((call) => !covered.includes(call) && !INTERNAL.includes(call));
    const unknown = [...covered, ...INTERNAL].filter((call) => !known.includes(call));
    assert.ok(without.length + unknown.length === 0, `without a scenario: ${without}; not in the client: ${unknown}`);
}

// Asks again and again until there is an answer.
async function until(what, ask) {
    const begun = Date.now();
    while (Date.now() - begun < PATIENCE) {
        const answer = await ask();
        if (answer) {
            return answer;
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.fail(`${what}: not within ${PATIENCE} ms`);
}

// Waits until the instance has this status, and returns all of it.
function reaches(client, id, status) {
    return until(`${id} is ${status}`, async () => {
        const found = await client.getStatus(id);
        return found.runtimeStatus === status ? found : undefined;
    });
}

// Waits until the instance has completed, and returns what it returned.
async function output(client, id) {
    return (await reaches(client, id, "Completed")).output;
}

// What the error says that the call must end with.
async function errorOf(call) {
    const { error, value } = await call.then((value) => ({ value }), (error) => ({ error }));
    assert.ok(error, `nothing was thrown, and ${JSON.stringify(value)} came back`);
    return error.message;
}

// The call must end with an error that says just this.
async function rejects(call, text) {
    assert.equal(await errorOf(call), text);
}

// The call must end with an error that says all of this among other things.
async function rejectsWith(call, ...words) {
    const said = await errorOf(call);
    words.forEach((word) => assert.ok(said.includes(word), `${word} in ${said}`));
}

// Plain HTTP, as whoever got a link from a client does it: the status and the JSON of the answer.
async function follow(method, url, body) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    return [answer.status, text === "" ? undefined : JSON.parse(text)];
}

module.exports = { assert, checkCoverage, connect, covers, df, follow, output, reaches, rejects, rejectsWith, run };
