// Randomness: drawn from the host, which makes it the same on replay in an orchestrator, and real in an activity.

import { MisuseError } from "./failure.js";

const POOL_BYTES = 1024;

let getRandomBytes;
let pool = new DataView(new ArrayBuffer(0));
let used = 0;

/** Where random bytes come from: `(length) => Uint8Array`. Before, while the module is built, there are none. */
export function setRandomness(source) {
    getRandomBytes = source;
}

/** Makes `Math.random` and `crypto` draw from there. */
export function installRandomness() {
    const atBuild = Math.random;
    // 53 random bits, as many as a double holds.
    Math.random = () => (getRandomBytes ? ((u32() >>> 5) * 2 ** 26 + (u32() >>> 6)) / 2 ** 53 : atBuild());
    const crypto = { getRandomValues: fill, randomUUID: () => uuid(fill(new Uint8Array(16))) };
    Object.defineProperty(globalThis, "crypto", { value: crypto, configurable: true, writable: true });
}

function u32() {
    if (used === pool.byteLength) {
        pool = new DataView(Uint8Array.from(getRandomBytes(POOL_BYTES)).buffer);
        used = 0;
    }
    used += 4;
    return pool.getUint32(used - 4, true);
}

function fill(array) {
    if (!getRandomBytes) {
        throw new MisuseError("there is no randomness while a module is built: draw it in an orchestrator or an activity");
    }
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    bytes.set(getRandomBytes(bytes.length));
    return array;
}

/** A UUID of version 4 (RFC 9562, 5.4). */
function uuid(bytes) {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [8, 12, 16, 20, 32].map((end, index, ends) => hex.slice(ends[index - 1] ?? 0, end)).join("-");
}
