// The globals of a guest. Loaded before a user's code.

import { explainAbsentGlobals } from "./absent.js";
import { installConsole } from "./log.js";
import { Promise, enqueue } from "./promise.js";
import { installRandomness } from "./random.js";

globalThis.Promise = Promise;
globalThis.queueMicrotask = enqueue;
installConsole();
installRandomness();
explainAbsentGlobals();
