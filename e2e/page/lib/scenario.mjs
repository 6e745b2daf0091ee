// Runs one test against a page and the process behind it, and checks at the end that the page broke no policy and threw nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage } from "./browser.mjs";
import { Mock } from "./mock.mjs";
import { snapshot } from "./samples.mjs";
import { answers } from "../states.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

/** `has`: parts of the snapshot. `at`: the place in the page. */
export const scenario = (name, { has = {}, at = "", with: own = {}, options = {}, setUp = () => {} }, run) => test(name, async () => {
    const mock = new Mock(snapshot(has));
    mock.answers = { ...answers, ...own };
    setUp(mock);
    await mock.start();
    const page = await openPage(browser, mock.url, options);
    try {
        if (at) await page.evaluate((hash) => { location.hash = hash; }, at);
        await run(page, mock, browser);
        assert.deepEqual(page.problems, []);
    } finally {
        await page.context().close();
        await mock.stop().catch(() => {});
    }
});
