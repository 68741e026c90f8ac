// What a function answers who called it over HTTP: links, or the result if it comes soon. And what this host does not serve.
"use strict";

const { HttpRequest } = require("@azure/functions");
const { assert, covers, df, follow, output, reaches, rejects, rejectsWith } = require("./harness");

const REQUEST = new HttpRequest({ method: "POST", url: "https://orders.example/api/start?x=1" });

function linksOf(binding, id) {
    const links = Object.entries(binding.managementUrls);
    return Object.fromEntries(links.map(([name, url]) => [name, url.replace("INSTANCEID", id)]));
}

// The links lead where the caller came from.
async function isCheckStatusResponse(response, links) {
    assert.equal(response.status, 202);
    const moved = (url) => url.replace(/^https?:\/\/[^/]+/, "https://orders.example");
    const expected = Object.entries(links).map(([name, url]) => [name, moved(url)]);
    const body = await response.json();
    assert.deepEqual(body, Object.fromEntries(expected));
    const headers = ["Location", "Retry-After", "Content-Type"].map((name) => response.headers.get(name));
    assert.deepEqual(headers, [body.statusQueryGetUri, "10", "application/json"]);
}

exports.links = covers(["createCheckStatusResponse", "createHttpManagementPayload"], async (client, binding) => {
    const id = await client.startNew("W", { instanceId: "order 1" });
    const expected = linksOf(binding, id);
    assert.deepEqual(client.createHttpManagementPayload(id), expected);
    await isCheckStatusResponse(client.createCheckStatusResponse(REQUEST, id), expected);
    assert.deepEqual(await client.createCheckStatusResponse(undefined, id).json(), expected);
});

exports.links_lead_on = covers(["createHttpManagementPayload"], async (client, binding) => {
    const id = await client.startNew("Collect", { instanceId: "linked", input: 1 });
    const urls = client.createHttpManagementPayload(id);
    const because = (url) => url.replace("{text}", "because");

    assert.equal((await follow("GET", urls.statusQueryGetUri))[0], 202);
    assert.deepEqual(await follow("POST", because(urls.suspendPostUri)), [202, undefined]);
    await reaches(client, id, "Suspended");
    assert.deepEqual(await follow("POST", because(urls.resumePostUri)), [202, undefined]);
    const raised = await follow("POST", urls.sendEventPostUri.replace("{eventName}", "item"), { n: 1 });
    assert.deepEqual(raised, [202, undefined]);
    assert.deepEqual(await output(client, id), [{ n: 1 }]);
    assert.deepEqual((await follow("GET", urls.statusQueryGetUri))[1].output, [{ n: 1 }]);
    assert.equal((await follow("POST", because(urls.rewindPostUri)))[0], 410);

    const [status, restarted] = await follow("POST", urls.restartPostUri);
    assert.equal(status, 202);
    assert.equal(await client.terminate(restarted.id, "because"), undefined);
    assert.deepEqual(await follow("DELETE", urls.purgeHistoryDeleteUri), [200, { instancesDeleted: 1 }]);
    assert.equal((await follow("GET", urls.statusQueryGetUri))[0], 404);

    const at = binding.creationUrls.createNewInstancePostUri.replace("{functionName}", "Echo");
    const [, { id: named }] = await follow("POST", at.replace("[/{instanceId}]", "/started"), { n: 1 });
    assert.deepEqual([named, await output(client, named)], ["started", { n: 1 }]);
    const [, { id: other }] = await follow("POST", at.replace("[/{instanceId}]", ""), { n: 2 });
    assert.deepEqual(await output(client, other), { n: 2 });
    const wait = binding.creationUrls.createAndWaitOnNewInstancePostUri
        .replace("{functionName}[/{instanceId}]", "Echo")
        .replace("{timeoutInSeconds}", "50")
        .replace("{intervalInSeconds}", "0.1");
    assert.deepEqual(await follow("POST", wait, { n: 3 }), [200, { n: 3 }]);
});

const WAIT = { timeoutInMilliseconds: 50_000, retryIntervalInMilliseconds: 5 };

exports.wait_for_completion = covers(["waitForCompletionOrCreateCheckStatusResponse"], async (client) => {
    const id = await client.startNew("W");
    const waiting = client.waitForCompletionOrCreateCheckStatusResponse(REQUEST, id, WAIT);
    await client.raiseEvent(id, "go", { n: [1, "2"] });
    const answer = await waiting;
    assert.deepEqual([answer.status, answer.headers.get("Content-Type")], [200, "application/json"]);
    assert.deepEqual(await answer.json(), { n: [1, "2"] });

    for (const [orchestrator, end, expected] of [
        ["Fails", (id) => client.raiseEvent(id, "go"), [500, "Failed", "the budget is spent"]],
        ["W", (id) => client.terminate(id, "enough"), [200, "Terminated", "enough"]],
    ]) {
        const id = await client.startNew(orchestrator);
        await end(id);
        const response = await client.waitForCompletionOrCreateCheckStatusResponse(REQUEST, id, WAIT);
        const { runtimeStatus, output } = await response.json();
        assert.deepEqual([response.status, runtimeStatus, output], expected);
    }
});

exports.wait_in_vain = covers(["waitForCompletionOrCreateCheckStatusResponse"], async (client, binding) => {
    const id = await client.startNew("W");
    const wait = (timeoutInMilliseconds, retryIntervalInMilliseconds) =>
        client.waitForCompletionOrCreateCheckStatusResponse(REQUEST, id, { timeoutInMilliseconds, retryIntervalInMilliseconds });
    await isCheckStatusResponse(await wait(30, 10), linksOf(binding, id));
    await rejects(wait(1, 2), "Total timeout 1 (ms) should be bigger than retry timeout 2 (ms)");
});

exports.entities = covers(["readEntityState", "signalEntity"], async (client) => {
    const counter = new df.EntityId("Counter", "steps");
    const notServed = ["The operation failed with an unexpected status code: 501.", "entities"];
    await rejectsWith(client.signalEntity(counter, "add", 5), ...notServed);
    await rejectsWith(client.signalEntity(counter, "reset", undefined, { taskHubName: "Other" }), ...notServed);
    await rejectsWith(client.readEntityState(counter), ...notServed);
    await rejectsWith(client.readEntityState(counter, { taskHubName: "Other", connectionName: "Storage" }), ...notServed);
});
