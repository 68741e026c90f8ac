// External events.
"use strict";

const { assert, covers, output, rejects } = require("./harness");

const PAYLOADS = [
    true,
    false,
    "text",
    "true",
    "",
    null,
    0,
    12.5,
    { n: 1, by: { name: "Zoë", roles: [] } },
    [1, [2, "3"], {}],
    '{"n": 1}',
];

exports.events = covers(["raiseEvent"], async (client) => {
    await client.startNew("Collect", { instanceId: "collector", input: PAYLOADS.length + 1 });
    for (const payload of PAYLOADS) {
        assert.equal(await client.raiseEvent("collector", "item", payload), undefined);
    }
    // A host has one hub and one store, whatever they are called.
    await client.raiseEvent("collector", "item", undefined, { taskHubName: "Other", connectionName: "Storage" });
    assert.deepEqual(await output(client, "collector"), [...PAYLOADS, null]);
});

exports.events_by_any_name = covers(["raiseEvent"], async (client) => {
    const names = ["Approval of the board", "Prüfung & Freigabe", "a+b=c", "50%25", "x"];
    for (const [number, name] of names.entries()) {
        const id = await client.startNew("Named", { input: name.replace("%25", "%") });
        // Names match in any case.
        await client.raiseEvent(id, name.toUpperCase(), number);
        assert.equal(await output(client, id), number);
    }
});

exports.events_refused = covers(["raiseEvent"], async (client) => {
    await rejects(client.raiseEvent("nobody", "go", 1), "No instance with ID 'nobody' found.");
    await client.startNew("Echo", { instanceId: "ended", input: 1 });
    await output(client, "ended");
    // This client tells nobody that an event came too late.
    assert.equal(await client.raiseEvent("ended", "go", 1), undefined);
    await rejects(client.raiseEvent("ended", "", 1), "eventName must be a valid string.");
});
