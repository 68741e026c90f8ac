// Randomness: drawn from the host, which makes it the same on replay in an orchestrator, and real in an activity.

const POOL_BYTES = 1024;

/** Makes `Math.random` and `crypto` draw from `getRandomBytes(length)`. */
export function installRandomness(getRandomBytes) {
    let pool = new DataView(new ArrayBuffer(0));
    let used = 0;
    const draw = (bytes) => {
        if (used + bytes > pool.byteLength) {
            pool = new DataView(Uint8Array.from(getRandomBytes(POOL_BYTES)).buffer);
            used = 0;
        }
        used += bytes;
        return used - bytes;
    };
    const u32 = () => {
        const at = draw(4);
        return pool.getUint32(at, true);
    };
    // 53 random bits, as many as a double holds.
    Math.random = () => ((u32() >>> 5) * 2 ** 26 + (u32() >>> 6)) / 2 ** 53;
    const fill = (array) => {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        bytes.set(getRandomBytes(bytes.length));
        return array;
    };
    globalThis.crypto = { getRandomValues: fill, randomUUID: () => uuid(fill(new Uint8Array(16))) };
}

/** A UUID of version 4 (RFC 9562, 5.4). */
function uuid(bytes) {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [8, 12, 16, 20, 32].map((end, index, ends) => hex.slice(ends[index - 1] ?? 0, end)).join("-");
}
