// JSON in and out.

import { PayloadError } from "./failure.js";
import { Task } from "./task.js";

/** The JSON text of a value; `what` names it in the error. `undefined` is `null`. */
export function toPayload(value, what) {
    if (value === undefined || value === null) {
        return "null";
    }
    if (value instanceof Task) {
        throw new PayloadError(`${what} is a task and not its result: \`yield\` it, or \`await\` it, first`);
    }
    let text;
    try {
        text = JSON.stringify(value);
    } catch (error) {
        throw new PayloadError(`${what} is no JSON: ${error.message}`);
    }
    if (text === undefined) {
        throw new PayloadError(`${what} is no JSON: it is a ${typeof value}`);
    }
    return text;
}

/** The value of JSON text that came from the host, which has checked it. */
export function fromPayload(text) {
    return JSON.parse(text);
}
