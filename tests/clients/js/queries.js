// One status, and lists of them.
"use strict";

const { assert, covers, df, output, reaches, rejectsWith } = require("./harness");

const DAY = 86_400_000;
const YESTERDAY = new Date(Date.now() - DAY);
const TOMORROW = new Date(Date.now() + DAY);
const Status = df.OrchestrationRuntimeStatus;

exports.status = covers(["getStatus"], async (client, binding) => {
    const id = await client.startNew("Shows", { instanceId: "shown", input: { n: 1 } });
    await reaches(client, id, "Running");
    const found = await client.getStatus(id, { showInput: true });
    assert.deepEqual([found.name, found.instanceId, found.output, found.input], ["Shows", "shown", null, { n: 1 }]);
    assert.equal(found.customStatus, "waiting");
    assert.ok(YESTERDAY < found.createdTime && found.createdTime <= found.lastUpdatedTime, JSON.stringify(found));
    assert.ok(found.lastUpdatedTime < TOMORROW, JSON.stringify(found));

    // Only one of its two ways to ask says what is not to be shown.
    const hidden = binding.rpcBaseUrl ? { n: 1 } : null;
    assert.deepEqual((await client.getStatus(id, { showInput: false })).input, hidden);

    await client.raiseEvent(id, "go");
    const { output, customStatus } = await reaches(client, id, "Completed");
    assert.deepEqual([output, customStatus], [null, { done: true }]);

    const failed = await client.startNew("Fails");
    await client.raiseEvent(failed, "go");
    assert.equal((await reaches(client, failed, "Failed")).output, "the budget is spent");
    const unknown = "Durable Functions extension replied with HTTP 404 response";
    await rejectsWith(client.getStatus("nobody"), unknown, "associated with the instanceId provided: nobody.");
});

exports.status_with_history = covers(["getStatus"], async (client) => {
    const id = await client.startNew("Collect", { input: 1 });
    await client.raiseEvent(id, "item", { n: 1 });
    assert.deepEqual(await output(client, id), [{ n: 1 }]);
    const found = await client.getStatus(id, { showHistory: true, showHistoryOutput: true, showInput: true });
    assert.deepEqual([found.runtimeStatus, found.output], ["Completed", [{ n: 1 }]]);
});

// One of each kind.
async function fourInstances(client) {
    await client.startNew("Echo", { instanceId: "completed", input: 1 });
    await client.startNew("W", { instanceId: "running" });
    await client.startNew("W", { instanceId: "terminated" });
    await client.terminate("terminated", "enough");
    await client.startNew("W", { instanceId: "suspended" });
    await client.suspend("suspended", "lunch");
    for (const id of ["completed", "running", "terminated", "suspended"]) {
        await reaches(client, id, id[0].toUpperCase() + id.slice(1));
    }
}

const ids = (statuses) => statuses.map(({ instanceId }) => instanceId).sort();
const EVERYBODY = ["completed", "running", "suspended", "terminated"];

exports.lists = covers(["getStatusAll", "getStatusBy"], async (client) => {
    assert.deepEqual(await client.getStatusAll(), []);
    await fourInstances(client);
    const found = await client.getStatusAll();
    assert.deepEqual(ids(found), EVERYBODY);
    const { name, runtimeStatus, input, output } = found.find(({ instanceId }) => instanceId === "completed");
    assert.deepEqual([name, runtimeStatus, input, output], ["Echo", "Completed", 1, 1]);
    for (const [filter, expected] of [
        [{}, EVERYBODY],
        [{ createdTimeFrom: YESTERDAY }, EVERYBODY],
        [{ createdTimeFrom: TOMORROW }, []],
        [{ createdTimeTo: TOMORROW }, EVERYBODY],
        [{ createdTimeTo: YESTERDAY }, []],
        [{ createdTimeFrom: YESTERDAY, createdTimeTo: TOMORROW }, EVERYBODY],
        [{ runtimeStatus: [Status.Completed] }, ["completed"]],
        [{ runtimeStatus: [Status.Terminated, Status.Suspended] }, ["suspended", "terminated"]],
        [{ runtimeStatus: Object.values(Status) }, EVERYBODY],
        [{ runtimeStatus: [] }, EVERYBODY],
        [{ createdTimeFrom: YESTERDAY, createdTimeTo: TOMORROW, runtimeStatus: [Status.Running] }, ["running"]],
    ]) {
        assert.deepEqual([filter, ids(await client.getStatusBy(filter))], [filter, expected]);
    }
});

exports.list_more_than_two_pages = covers(["getStatusAll", "getStatusBy"], async (client) => {
    const expected = [];
    for (let number = 0; number < 205; number++) {
        expected.push(await client.startNew("Echo", { instanceId: `echo-${number.toString().padStart(3, "0")}`, input: number }));
    }
    await Promise.all(expected.map((id) => output(client, id)));
    assert.deepEqual(ids(await client.getStatusAll()), expected);
    assert.deepEqual(ids(await client.getStatusBy({ runtimeStatus: [Status.Completed] })), expected);
    assert.deepEqual(ids(await client.getStatusBy({ runtimeStatus: [Status.Failed] })), []);
});
