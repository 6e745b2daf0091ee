// How long the tasks of the page's main thread take, from the browser's own trace.

/**
 * The longest task while `run` runs, in milliseconds of processor time: what else the machine does at that time does not count.
 */
export async function longestTask(browser, page, run) {
    await browser.startTracing(page, { categories: ["toplevel", "__metadata"] });
    await run();
    const { traceEvents } = JSON.parse(await browser.stopTracing());
    const threads = new Set(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(({ pid, tid }) => `${pid} ${tid}`));
    const tasks = traceEvents.filter(({ ph, pid, tid, name, tdur }) => ph === "X" && tdur > 0 && threads.has(`${pid} ${tid}`) && /RunTask|ThreadControllerImpl/.test(name));
    if (tasks.length === 0) throw new Error("the trace has no task of the page");
    return tasks.reduce((longest, { tdur }) => Math.max(longest, tdur / 1000), 0);
}
