// Deadlines: a test that hangs fails, says what it waited for, and ends what it waited for.

import assert from "node:assert/strict";
import { test } from "node:test";
import { closeBrowser, closePage, launch, openPage } from "../lib/browser.mjs";
import { runWithin, within } from "../lib/deadline.mjs";
import { Mock } from "../lib/mock.mjs";
import { snapshot } from "../lib/samples.mjs";

const never = () => new Promise(() => {});

test("a wait that takes too long names what was waited for", async () => {
    await assert.rejects(within(10, "the reply", never(), () => "; none so far"), { message: "not within 0.01 s: the reply; none so far" });
});

test("a wait settles as its promise does", async () => {
    assert.equal(await within(60_000, "the reply", Promise.resolve("reply")), "reply");
    await assert.rejects(within(60_000, "the reply", Promise.reject(new Error("refused"))), { message: "refused" });
});

test("a body that fails in time is not aborted", async () => {
    await assert.rejects(runWithin(60_000, async () => { throw new Error("wrong"); }, () => assert.fail("aborted")), { message: "wrong" });
});

test("a page that hangs ends with the line that waited for it", async () => {
    const mock = await new Mock(snapshot()).start();
    const browser = await launch();
    try {
        const page = await openPage(browser, mock.url);
        const body = async function waitsForThePage() {
            await page.evaluate(() => { for (;;); });
        };
        const failure = await runWithin(1000, body, () => closePage(page)).catch((error) => error);
        assert.equal(failure.message, "not within 1 s: the end of the test");
        assert.match(failure.cause.stack, /waitsForThePage/);
    } finally {
        await closeBrowser(browser);
        await mock.stop();
    }
});
