// Deadlines: every wait has one, and its error names what was waited for.

/** For one thing that the page, the process behind it, or the browser does, in milliseconds. */
export const WAIT_MS = 30_000;

/** Settles as `promise` does, but fails after `ms` milliseconds. `details` returns what else the error says. */
export async function within(ms, what, promise, details = () => "") {
    let timer;
    const expired = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not within ${ms / 1000} s: ${what}${details()}`)), ms);
    });
    try {
        return await Promise.race([promise, expired]);
    } finally {
        clearTimeout(timer);
    }
}

/**
 * Runs the body of a test, at most for `ms` milliseconds. After that it calls `abort`, which ends what the body may wait for: the
 * error that the body then throws tells the line, and becomes the cause of the error that is thrown here.
 */
export async function runWithin(ms, body, abort) {
    let isOver = false;
    const running = body().finally(() => { isOver = true; });
    try {
        return await within(ms, "the end of the test", running);
    } catch (error) {
        if (isOver) throw error;
        const aborted = abort().catch(() => {});
        error.cause = await within(WAIT_MS, "the test to stop", running.then(() => "the test ended late", (failure) => failure)).catch((hung) => hung);
        await aborted;
        throw error;
    }
}
