// The unmodified JavaScript client of Durable Functions, against a running host.
//
//     node run.js               prints the names of the scenarios; fails where a call of the client has none
//     node run.js SCENARIO      runs one; FERMATA_BINDING holds what GET /clients/durable-binding says
//
// NODE_PATH says where the client is installed.
"use strict";

const { checkCoverage, run } = require("./harness");

const scenarios = Object.assign({}, ...["answers", "control", "events", "queries", "starting"].map((file) => require(`./${file}`)));

const name = process.argv[2];
if (name === undefined) {
    checkCoverage(scenarios);
    console.log(Object.keys(scenarios).join("\n"));
} else {
    run(name, scenarios[name], JSON.parse(process.env.FERMATA_BINDING)).catch((error) => {
        console.error(error);
        process.exit(1);
    });
}
