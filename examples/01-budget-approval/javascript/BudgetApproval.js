const df = require("durable-functions");

module.exports = df.orchestrator(function* (context) {
    const approved = yield context.df.waitForExternalEvent("Approval");
    if (approved) {
        return "approval granted";
    } else {
        return "approval denied";
    }
});
