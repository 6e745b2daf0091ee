// Content that a browser hands over: dropped folders with many files, failures, leaving the page.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drop } from "../lib/drop.mjs";
import { connection } from "../lib/samples.mjs";
import { scenario } from "../lib/scenario.mjs";
import { longestTask } from "../lib/trace.mjs";

function folderOf(count) {
    const folder = mkdtempSync(join(tmpdir(), "quiver-drop-"));
    for (let at = 0; at < count; at += 1) {
        const parent = join(folder, "tree", String(at - (at % 100)));
        if (at % 100 === 0) mkdirSync(parent, { recursive: true });
        writeFileSync(join(parent, `${at % 100}.txt`), `content ${at}`);
    }
    return folder;
}

/** For 10,000 files on a busy machine. */
const MANY_MS = 180_000;

scenario("10,000 files dropped: all are handed over, and no task takes over 100 ms", { deadline: MANY_MS }, async (page, mock, browser) => {
    await page.getByText("meow.txt").waitFor();
    const folder = folderOf(10_000);
    try {
        page.setDefaultTimeout(MANY_MS);
        const longest = await longestTask(browser, page, async () => {
            await drop(page, page.locator(".view.files"), [join(folder, "tree")]);
            await page.getByText("Quiver has 10,000 files and uploads them").first().waitFor();
        });
        const { to, drop: id } = await mock.request("put_spooled");
        assert.equal(to, "");
        assert.equal(mock.spooled.size, 10_000);
        assert.deepEqual(mock.spooled.get("tree/9900/99.txt"), { size: 12, drop: id });
        assert.ok(longest <= 100, `a task took ${longest} ms`);
    } finally {
        await rm(folder, { recursive: true });
    }
});

scenario("a spool that is full is said, with a way on, and nothing is started", { setUp: (mock) => { mock.spoolStatus = 507; } }, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    const folder = folderOf(3);
    await drop(page, page.locator(".view.files"), [join(folder, "tree")]);
    await page.getByText("There is not enough space for it").first().waitFor();
    assert.equal(mock.requests.some((request) => request.do === "put_spooled"), false);
    mock.spoolStatus = 200;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("Quiver has 3 files").first().waitFor();
    await mock.request("put_spooled");
    await rm(folder, { recursive: true });
});

scenario("a server that takes no uploads takes no drops", { has: { connection: connection({ upload: false }) } }, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    assert.equal(await page.getByRole("button", { name: /Upload|New folder|Delete|Rename/ }).count(), 0);
    await page.getByText("This server is read-only for you").waitFor();
    const folder = folderOf(1);
    await drop(page, page.locator(".view.files"), [join(folder, "tree")]);
    await page.getByRole("button", { name: "Actions for meow.txt" }).click();
    await page.getByRole("menuitem", { name: "Preview" }).waitFor();
    assert.equal(await page.getByRole("menuitem", { name: /Delete|Rename/ }).count(), 0);
    assert.equal(mock.spooled.size, 0);
    await rm(folder, { recursive: true });
});

scenario("leaving asks only while something is not handed over yet", {}, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    const asks = () => page.evaluate(() => !dispatchEvent(new Event("beforeunload", { cancelable: true })));
    assert.equal(await asks(), false);
    let release;
    mock.answers.put_spooled = () => new Promise((resolve) => { release = () => resolve({ transfer: "1:9" }); });
    const folder = folderOf(1);
    await drop(page, page.locator(".view.files"), [join(folder, "tree")]);
    await mock.request("put_spooled").catch(() => {});
    await page.waitForFunction(() => document.querySelector(".cards .card"));
    assert.equal(await asks(), true);
    release();
    await page.getByText("Quiver has 1 file").first().waitFor();
    assert.equal(await asks(), false);
    await rm(folder, { recursive: true });
});
