const df = require("durable-functions");

// The workload of the peers: one event, and its payload is the output.
df.app.orchestration("W", function* (context) {
    return yield context.df.waitForExternalEvent("go");
});

// Takes as many events as its input says.
df.app.orchestration("Collect", function* (context) {
    const count = context.df.getInput();
    const items = [];
    while (items.length < count) {
        items.push(yield context.df.waitForExternalEvent("item"));
    }
    return items.length;
});

df.app.orchestration("CollectAsync", async function (context) {
    const count = context.df.getInput();
    const items = [];
    while (items.length < count) {
        items.push(await context.df.waitForExternalEvent("item"));
    }
    return items.length;
});
