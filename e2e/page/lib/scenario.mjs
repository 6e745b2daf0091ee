// Runs one test against a page and the process behind it, and checks at the end that the page broke no policy and threw nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeBrowser, closePage, launch, openPage } from "./browser.mjs";
import { runWithin } from "./deadline.mjs";
import { Mock } from "./mock.mjs";
import { snapshot } from "./samples.mjs";
import { answers } from "../states.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => closeBrowser(browser));

/** `has`: parts of the snapshot. `at`: the place in the page. `deadline`: of `run`, in milliseconds. */
export const scenario = (name, { has = {}, at = "", with: own = {}, options = {}, setUp = () => {}, deadline = 60_000 }, run) => test(name, async () => {
    const mock = new Mock(snapshot(has));
    mock.answers = { ...answers, ...own };
    setUp(mock);
    await mock.start();
    try {
        const page = await openPage(browser, mock.url, options);
        try {
            await runWithin(deadline, async () => {
                if (at) await page.evaluate((hash) => { location.hash = hash; }, at);
                await run(page, mock, browser);
            }, () => closePage(page));
            assert.deepEqual(page.problems, []);
        } finally {
            await closePage(page);
        }
    } finally {
        await mock.stop();
    }
});
