// Starts, and what is refused at a start.
"use strict";

const OpenTelemetry = require("@opentelemetry/api");
const { assert, covers, output, reaches, rejects, rejectsWith } = require("./harness");

// Among them what is JSON within a string, which must stay a string.
const INPUTS = [
    { n: 1, deep: { list: [1, 2.5, null, true], text: "straße 𝄐" } },
    [],
    {},
    "text",
    "",
    "true",
    '{"n": 1}',
    '"quoted"',
    7,
    0,
    -2.5,
    true,
    false,
    null,
];

exports.start = covers(["startNew"], async (client) => {
    for (const input of INPUTS) {
        const id = await client.startNew("Echo", { input });
        assert.deepEqual(await output(client, id), input);
        assert.deepEqual((await client.getStatus(id)).input, input);
    }
    // The client sends an empty text then.
    for (const options of [undefined, {}]) {
        const id = await client.startNew("Echo", options);
        assert.equal(await output(client, id), "");
    }
});

exports.start_with_id = covers(["startNew"], async (client) => {
    for (const instanceId of ["order-1", "über 100% & Co", "a+b=c;d,e~(f)*'!@"]) {
        // The client encodes no percent sign.
        const id = instanceId.replace("%", "%25");
        assert.equal(await client.startNew("WhoAmI", { instanceId: id }), instanceId);
        assert.equal((await output(client, id)).id, instanceId);
    }
    const others = new Set();
    for (let i = 0; i < 3; i++) {
        others.add(await client.startNew("Echo"));
    }
    assert.ok(others.size === 3 && !others.has(""), [...others].join());
    // One that has ended is replaced.
    assert.equal(await client.startNew("Echo", { instanceId: "order-1", input: "anew" }), "order-1");
    assert.equal(await output(client, "order-1"), "anew");
});

exports.start_with_a_version_and_within_a_trace = covers(["startNew"], async (client) => {
    // A host knows the versions of modules, and of nothing else: what a client calls one is not looked at.
    const id = await client.startNew("Echo", { instanceId: "versioned", input: [1], version: "1.0 & more" });
    assert.deepEqual([id, await output(client, id)], ["versioned", [1]]);
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const span = OpenTelemetry.trace.wrapSpanContext({ traceId, spanId: "b7ad6b7169203331", traceFlags: 1 });
    OpenTelemetry.context.setGlobalContextManager(within(OpenTelemetry.trace.setSpan(OpenTelemetry.ROOT_CONTEXT, span)));
    OpenTelemetry.propagation.setGlobalPropagator({
        fields: () => ["traceparent"],
        inject: (_, headers) => (headers.traceparent = `00-${traceId}-b7ad6b7169203331-01`),
        extract: (context) => context,
    });
    assert.equal(await output(client, await client.startNew("Echo", { input: "traced" })), "traced");
});

// A manager that has one context for everything.
function within(context) {
    const manager = { active: () => context, with: (_, f) => f(), bind: (_, f) => f, enable: () => manager, disable: () => manager };
    return manager;
}

exports.start_refused = covers(["startNew"], async (client) => {
    await rejectsWith(client.startNew("Nobody"), "unexpected status code: 400", "there is no orchestrator named", "Echo");
    await rejectsWith(client.startNew("Echo", { instanceId: "@no@entity" }), "unexpected status code: 400", "@no@entity");
    await client.startNew("W", { instanceId: "taken" });
    await rejectsWith(client.startNew("Echo", { instanceId: "taken" }), "unexpected status code: 409", "exists and has not ended");
    assert.equal((await reaches(client, "taken", "Running")).name, "W");
    await rejects(client.startNew(""), "orchestratorFunctionName must be a valid string.");
});
