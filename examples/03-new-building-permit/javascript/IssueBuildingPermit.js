// The registry of permits. Issuing twice for the same task gives the same permit: an activity may run more than once.
module.exports = async function (context, applicationId) {
    if (!applicationId) {
        throw Object.assign(new Error("a permit needs the id of an application"), { name: "NoApplication", nonRetryable: true });
    }
    const sum = Array.from(context.taskKey).reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0, 0);
    const number = `BP-${String(sum % 1_000_000).padStart(6, "0")}`;
    context.log(`permit ${number} issued for application ${applicationId}`);
    return { applicationId, number };
};
