// How long the tasks of the page's main thread take, from the browser's own trace.

/** An event of the page's main thread at the end of each of its tasks. Other categories record the tasks of all threads and processes. */
const [CATEGORY, TASK_ENDED] = ["renderer.scheduler", "BlinkScheduler_OnTaskCompleted"];

/**
 * The longest task while `run` runs, in milliseconds of processor time: what else the machine does at that time does not count. It is
 * measured from the end of the task before, and so is never too short.
 */
export async function longestTask(browser, page, run) {
    await browser.startTracing(page, { categories: [CATEGORY, "__metadata"] });
    await run();
    const { traceEvents } = JSON.parse(await browser.stopTracing());
    const threads = new Set(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(({ pid, tid }) => `${pid} ${tid}`));
    const ends = traceEvents.filter(({ pid, tid, name, tts }) => name === TASK_ENDED && tts > 0 && threads.has(`${pid} ${tid}`));
    if (ends.length === 0) throw new Error("the trace has no task of the page");
    return Math.max(...[...threads].map((thread) => longestOf(ends.filter(({ pid, tid }) => thread === `${pid} ${tid}`))));
}

/** From the ends of one thread's tasks: the longest task, in milliseconds. `tts` is the thread's processor time in microseconds. */
function longestOf(ends) {
    const times = ends.map(({ tts }) => tts).sort((a, b) => a - b);
    return times.reduce((longest, time, at) => Math.max(longest, (time - (times[at - 1] ?? time)) / 1000), 0);
}
