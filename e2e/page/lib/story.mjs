// Runs one test with real programs and a browser, and checks at the end that the page broke no policy and threw nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage } from "./browser.mjs";
import { World } from "./programs.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

/** `run` gets a world with a server, a function that opens a page, and the browser. */
export const story = (name, run) => test(name, { timeout: 120_000 }, async () => {
    const world = new World();
    const pages = [];
    const open = async (link, options = {}) => {
        const page = await openPage(browser, link, options);
        page.setDefaultTimeout(30_000);
        pages.push(page);
        return page;
    };
    try {
        await world.startServer();
        await run(world, open);
        for (const page of pages) assert.deepEqual(page.problems, []);
        assert.doesNotMatch(world.server.text, /ERROR|panicked/);
    } finally {
        for (const page of pages) await page.context().close();
        await world.end();
    }
});
