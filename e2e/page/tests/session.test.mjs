// The tab's secret, and a page that is cut off or behind.

import assert from "node:assert/strict";
import { openPage } from "../lib/browser.mjs";
import { connection } from "../lib/samples.mjs";
import { scenario } from "../lib/scenario.mjs";

scenario("the code leaves the address bar and the history, and a reload needs none", {}, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    assert.equal(page.url(), `${mock.origin}/`);
    assert.equal(await page.evaluate(() => history.length), 2);
    assert.equal(await page.evaluate(() => document.documentElement.outerHTML.includes("secret")), false);
    await page.reload();
    await page.getByText("meow.txt").waitFor();
    assert.equal(page.url(), `${mock.origin}/`);
});

scenario("a second use of the code opens nothing and says what to do", {}, async (page, mock, browser) => {
    await page.getByText("meow.txt").waitFor();
    mock.code = "used";
    const second = await openPage(browser, `${mock.origin}/#code=one-time`);
    await second.getByRole("heading", { name: "Open this page from Quiver" }).waitFor();
    assert.equal(second.url(), `${mock.origin}/`);
    await second.context().close();
});

scenario("a refused secret is said, not retried", { setUp: (mock) => { mock.acceptsSecret = false; } }, async (page) => {
    await page.getByRole("heading", { name: "no longer valid" }).waitFor();
    await page.getByText("quiver gui").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

scenario("a page that is cut off says so and comes back by itself", {}, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    const { port } = mock;
    await mock.stop();
    await page.getByText("This page is cut off from Quiver").waitFor();
    assert.ok(await page.getByText("meow.txt").isVisible());
    mock.snapshot.connection = connection({ name: "Ron2" });
    await mock.start(port);
    await page.getByText("as Ron2").waitFor();
    await page.getByText("This page is cut off from Quiver").waitFor({ state: "hidden" });
});

scenario("a missing event brings a new snapshot", {}, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    mock.skip();
    mock.snapshot.connection = connection({ name: "After" });
    mock.send("notice", { code: "x", text: "not applied" });
    await page.getByText("as After").waitFor();
    assert.equal(await page.getByText("not applied").count(), 0);
});

scenario("a server that is lost leaves the page in place", {}, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    mock.send("connection", { connection: connection({ state: "reconnecting" }) });
    await page.getByText("is lost. Reconnecting").waitFor();
    assert.ok(await page.getByText("meow.txt").isVisible());
    mock.send("connection", { connection: connection() });
    await page.getByText("is lost. Reconnecting").waitFor({ state: "hidden" });
});

scenario("the link of a new page, opened in the same tab, is used", {}, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    await page.evaluate(() => sessionStorage.clear());
    await page.reload();
    await page.getByRole("heading", { name: "Open this page from Quiver" }).waitFor();
    mock.code = "second";
    await page.evaluate(() => { location.hash = "code=second"; });
    await page.getByText("meow.txt").waitFor();
    assert.equal(page.url(), `${mock.origin}/`);
});
