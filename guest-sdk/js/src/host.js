// The one way to the host: the imports of `wit/orchestration.wit`, or what plays the host in a test.

/** The interface `host` of the contract; nothing while the module is built, when no instance is there. */
export let host;

export function setHost(imports) {
    host = imports;
}
