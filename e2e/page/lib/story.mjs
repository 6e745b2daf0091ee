// Runs one test with real programs and a browser, and checks at the end that the page broke no policy and threw nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeBrowser, closePage, launch, openPage } from "./browser.mjs";
import { runWithin } from "./deadline.mjs";
import { World } from "./programs.mjs";

const DEADLINE_MS = 120_000;

let browser;
before(async () => { browser = await launch(); });
after(() => closeBrowser(browser));

/** `run` gets a world with a server, and a function that opens a page. */
export const story = (name, run) => test(name, async () => {
    const world = new World();
    const pages = [];
    const open = async (link, options = {}) => {
        const page = await openPage(browser, link, options);
        pages.push(page);
        return page;
    };
    const closeAll = async () => {
        for (const page of pages) await closePage(page);
    };
    try {
        await runWithin(DEADLINE_MS, async () => {
            await world.startServer();
            await run(world, open);
        }, closeAll);
        for (const page of pages) assert.deepEqual(page.problems, []);
        assert.doesNotMatch(world.server.text, /ERROR|panicked/);
    } finally {
        await closeAll().finally(() => world.end());
    }
});
