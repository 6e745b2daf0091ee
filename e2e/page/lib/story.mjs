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

/** Signs in on the page that is shown first. Compares the fingerprint. */
export async function signIn(page, world, name) {
    await page.getByLabel("Server", { exact: true }).fill(world.address);
    await page.getByLabel(/^Your name/).fill(name);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    const question = page.getByRole("dialog", { name: "Is this the right server?" });
    await question.waitFor();
    const shown = (await question.locator(".fingerprint").innerText()).replace(/\W/g, "");
    assert.ok(shown.endsWith(world.fingerprint), `${shown} is not ${world.fingerprint}`);
    await question.getByRole("button", { name: "It is the same: connect" }).click();
    await page.getByRole("heading", { name: "Files", exact: true }).waitFor();
}

/** Starts a page and signs in. */
export async function signedIn(world, open, name = "Ron") {
    const program = await world.startPage(name);
    const page = await open(program.link);
    await signIn(page, world, name);
    return { program, page };
}

/** Waits until `test` holds, without events to wait for. */
export async function until(what, test) {
    const end = Date.now() + 30_000;
    while (!(await test())) {
        if (Date.now() > end) assert.fail(`not within 30 s: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
