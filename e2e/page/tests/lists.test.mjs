// Long lists: only what is near the view is in the document, and the keyboard and a screen reader still reach all of it.

import assert from "node:assert/strict";
import { entry, person, transfer } from "../lib/samples.mjs";
import { scenario } from "../lib/scenario.mjs";

const COUNT = 50_000;
const many = Array.from({ length: COUNT }, (_, at) => entry(`file-${String(at).padStart(6, "0")}.txt`));
const list = ({ after, limit }) => {
    const from = after ? many.findIndex(({ name }) => name === after) + 1 : 0;
    return { entries: many.slice(from, from + limit), more: from + limit < COUNT };
};

scenario("50,000 files: few rows in the document, all of them reachable", { with: { list } }, async (page) => {
    await page.getByText("50,000 entries").waitFor();
    const grid = page.getByRole("grid");
    assert.equal(await grid.getAttribute("aria-rowcount"), String(COUNT + 1));
    const inDocument = () => page.locator(".rows > *").count();
    assert.ok((await inDocument()) < 100, `${await inDocument()} rows`);
    await page.locator(".rows [tabindex='0']").first().focus();
    await page.keyboard.press("End");
    const last = page.getByRole("row", { name: /file-049999/ });
    await last.waitFor();
    assert.equal(await last.getAttribute("aria-rowindex"), String(COUNT + 1));
    assert.ok(await last.evaluate((row) => row === document.activeElement));
    // The row with the focus stays in the document, wherever the view is.
    await page.locator("#main").evaluate((main) => main.scrollTo(0, 0));
    await page.getByText("file-000000.txt").waitFor();
    assert.ok(await last.evaluate((row) => row === document.activeElement));
    assert.ok((await inDocument()) < 100);
});

scenario("1,000 people and 500 transfers are windowed too", { has: { people: [person(2, "Ron", { is_self: true }), ...Array.from({ length: 1000 }, (_, at) => person(at + 10, `guest-${at}`))], transfers: Array.from({ length: 500 }, (_, at) => transfer(`1:${at}`, { names: [`part-${at}`] })) } }, async (page) => {
    for (const [place, count] of [["people", 1001], ["transfers", 500]]) {
        await page.evaluate((hash) => { location.hash = hash; }, place);
        await page.waitForFunction((size) => document.querySelector("[aria-setsize]")?.getAttribute("aria-setsize") === size, String(count));
        // The first drawing does not know yet how high the view is.
        await page.waitForFunction(() => document.querySelectorAll("[aria-setsize]").length < 60);
        await page.locator(".scroller:has(.rows)").evaluate((scroller) => scroller.scrollTo(0, scroller.scrollHeight));
        await page.locator(`[aria-posinset="${count}"]`).waitFor();
    }
});

scenario("sorting and filtering", {}, async (page) => {
    await page.getByText("meow.txt").waitFor();
    const names = () => page.locator(".rows .file-row").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-row")));
    const byName = await names();
    assert.ok(byName.indexOf("a2.txt") < byName.indexOf("a10.txt"));
    assert.equal(byName[0], "archive");
    await page.getByRole("button", { name: "Size" }).click();
    await page.locator('[role=columnheader][aria-sort=descending]', { hasText: "Size" }).waitFor();
    assert.equal((await names())[2], "dataset.tar.zst");
    await page.getByRole("searchbox", { name: "Filter by name" }).fill("meow");
    await page.getByText("1 entry").waitFor();
    assert.deepEqual(await names(), ["meow.txt"]);
});
