// Logging: `context.log`, and `console`. Lines go to the guest's log, once, when the step is durable.

import { host } from "./host.js";
import { framesOf } from "./stack.js";

/** The logging functions of a context. */
export function logger() {
    const at = (level) => (...words) => write(level, words);
    const log = Object.assign(at("info"), { info: at("info"), warn: at("warn"), error: at("error"), verbose: at("debug") });
    return { log, trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Makes `console` write to the guest's log. */
export function installConsole() {
    const { trace, debug, info, warn, error } = logger();
    const check = (condition, ...words) => condition || error("assertion failed", ...words);
    const nothing = () => {};
    globalThis.console = { log: info, info, debug, warn, error, trace, dir: info, assert: check, group: info, groupEnd: nothing, time: nothing, timeEnd: nothing };
}

function write(level, words) {
    // While the module is built there is no instance, and so no log.
    host?.log(level, words.map(text).join(" "));
}

function text(value) {
    if (typeof value === "string") {
        return value;
    }
    if (value instanceof Error) {
        return [String(value), framesOf(value.stack)].filter(Boolean).join("\n");
    }
    try {
        return JSON.stringify(value) ?? String(value);
    } catch {
        // It has no JSON, or no text either.
        return Object.prototype.toString.call(value);
    }
}
