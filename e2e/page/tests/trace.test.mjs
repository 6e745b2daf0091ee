// The measure of long tasks itself.

import assert from "node:assert/strict";
import { scenario } from "../lib/scenario.mjs";
import { longestTask } from "../lib/trace.mjs";

scenario("a task that takes 300 ms of processor time is found, and short ones are not added up", {}, async (page, mock, browser) => {
    await page.getByText("meow.txt").waitFor();
    const work = (iterations) => page.evaluate((count) => new Promise((resolve) => setTimeout(() => {
        let sum = 0;
        for (let at = 0; at < count; at += 1) sum += Math.sqrt(at);
        resolve(sum);
    })), iterations);
    const short = await longestTask(browser, page, async () => { for (let at = 0; at < 20; at += 1) await work(1e6); });
    const long = await longestTask(browser, page, () => work(1e9));
    assert.ok(short < 300, `${short} ms`);
    assert.ok(long > 300, `${long} ms`);
});
