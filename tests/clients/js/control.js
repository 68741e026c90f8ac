// What is asked of instances.
"use strict";

const { assert, covers, df, output, reaches, rejects, rejectsWith } = require("./harness");

const DAY = 86_400_000;
const YESTERDAY = new Date(Date.now() - DAY);
const TOMORROW = new Date(Date.now() + DAY);
const Status = df.OrchestrationRuntimeStatus;
const UNKNOWN = "No instance with ID 'nobody' found.";
const WRONG_STATE = "The operation failed with an unexpected status code: 409.";
const ENDED = "The operation failed with an unexpected status code: 410.";

async function anEndedOne(client) {
    await client.startNew("Echo", { instanceId: "ended", input: 1 });
    assert.equal(await output(client, "ended"), 1);
    return "ended";
}

exports.terminate = covers(["terminate"], async (client) => {
    for (const [sent, reason] of [
        ["enough", "enough"],
        ["à bientôt", "à bientôt"],
        ['"quoted"', '"quoted"'],
        ["7", "7"],
        // The client does not encode it: the rest is lost.
        ["out of stock & more", "out of stock "],
    ]) {
        const id = await client.startNew("W");
        assert.equal(await client.terminate(id, sent), undefined);
        assert.equal((await reaches(client, id, "Terminated")).output, reason);
        // One that has ended is left in peace.
        assert.equal(await client.terminate(id, "again"), undefined);
        assert.equal((await client.getStatus(id)).output, reason);
    }
    await rejects(client.terminate("nobody", "reason"), UNKNOWN);
});

exports.suspend_and_resume = covers(["suspend", "resume"], async (client) => {
    const id = await client.startNew("Collect", { input: 2 });
    assert.equal(await client.suspend(id, "lunch & rest"), undefined);
    await reaches(client, id, "Suspended");
    await client.raiseEvent(id, "item", 1);
    await client.raiseEvent(id, "item", 2);
    assert.equal((await client.getStatus(id)).runtimeStatus, "Suspended");
    await rejectsWith(client.suspend(id, "twice"), WRONG_STATE, "is Suspended");
    assert.equal(await client.resume(id, "back"), undefined);
    assert.deepEqual(await output(client, id), [1, 2]);

    await rejects(client.suspend("nobody", "reason"), UNKNOWN);
    await rejects(client.resume("nobody", "reason"), UNKNOWN);
    await rejectsWith(client.resume(await client.startNew("W"), "reason"), WRONG_STATE, "only a suspended one can be resumed");
    const ended = await anEndedOne(client);
    assert.equal(await client.suspend(ended, "reason"), undefined);
    assert.equal(await client.resume(ended, "reason"), undefined);
});

// Its activity fails at the first attempt, and is not tried again until somebody says so.
async function aFailedOne(client) {
    const id = await client.startNew("Tries", { input: { fail: 1, max_attempts: 1, interval: 1 } });
    await reaches(client, id, "Failed");
    return id;
}

exports.rewind = covers(["rewind"], async (client) => {
    for (const options of [undefined, {}, { taskHubName: "Other", connectionName: "Storage" }]) {
        const id = await aFailedOne(client);
        assert.equal(await client.rewind(id, "repaired & tried", options), undefined);
        assert.equal((await output(client, id)).attempt, 2);
    }

    // The client takes the answer, which is an object, for a text.
    await rejects(client.rewind("nobody", "reason"), "[object Object]");
    await rejectsWith(client.rewind(await anEndedOne(client), "reason"), ENDED, 'the instance \\"ended\\" has ended');
    const notFailed = "only one that has failed can be rewound";
    await rejectsWith(client.rewind(await client.startNew("W"), "reason"), WRONG_STATE, notFailed);
});

exports.purge = covers(["purgeInstanceHistory"], async (client) => {
    const ended = await anEndedOne(client);
    assert.equal((await client.purgeInstanceHistory(ended)).instancesDeleted, 1);
    await rejectsWith(client.getStatus(ended), "HTTP 404");
    assert.equal((await client.purgeInstanceHistory(ended)).instancesDeleted, 0);
    const id = await client.startNew("W");
    await rejectsWith(client.purgeInstanceHistory(id), WRONG_STATE, "has not ended");
    await reaches(client, id, "Running");
});

exports.purge_by = covers(["purgeInstanceHistoryBy"], async (client, binding) => {
    for (let number = 0; number < 3; number++) {
        await output(client, await client.startNew("Echo"));
    }
    for (let number = 0; number < 2; number++) {
        const id = await client.startNew("W");
        await client.terminate(id, "enough");
        await reaches(client, id, "Terminated");
    }
    await client.startNew("W", { instanceId: "running" });
    const purged = async (filter) => (await client.purgeInstanceHistoryBy(filter)).instancesDeleted;

    assert.equal(await purged({ createdTimeFrom: TOMORROW }), 0);
    assert.equal(await purged({ createdTimeFrom: new Date(0), createdTimeTo: YESTERDAY }), 0);
    const times = { createdTimeFrom: YESTERDAY, createdTimeTo: TOMORROW };
    assert.equal(await purged({ ...times, runtimeStatus: [Status.Failed] }), 0);
    assert.equal(await purged({ ...times, runtimeStatus: [Status.Failed, Status.Terminated] }), 2);
    assert.equal(await purged({ createdTimeFrom: YESTERDAY }), 3);
    assert.deepEqual((await client.getStatusAll()).map(({ instanceId }) => instanceId), ["running"]);
    const refused = client.purgeInstanceHistoryBy({ runtimeStatus: [Status.Completed] });
    if (binding.rpcBaseUrl) {
        await rejectsWith(refused, "The operation failed with an unexpected status code: 400.", "createdTimeFrom");
    } else {
        await rejects(refused, "createdTimeFrom must be a valid Date");
    }
});
