// People come and go, messages and offers arrive, and the page says so.

import assert from "node:assert/strict";
import { incoming, message, person, settings } from "../lib/samples.mjs";
import { scenario } from "../lib/scenario.mjs";

const ron = person(2, "Ron", { is_self: true });

scenario("who joins and leaves is said, but not who was there at the sign-in", { has: { people: [] } }, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    mock.send("people", { people: [ron, person(1, "Ben")] });
    mock.send("people", { people: [ron, person(1, "Ben"), person(3, "Pete")] });
    await page.locator(".note", { hasText: "Pete has joined" }).waitFor();
    mock.send("people", { people: [ron, person(1, "Ben", { here: false, until: new Date().toISOString() }), person(3, "Pete")] });
    await page.locator(".note", { hasText: "Ben has left" }).waitFor();
    assert.equal(await page.getByText("Ben has joined").count(), 0);
});

scenario("messages: unread marks, states that change, the server's answer", { has: { people: [ron, person(1, "Ben")], settings: { ...settings } }, with: { messages: () => ({ messages: [], more: false }) } }, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    mock.send("conversation", { conversation: { with: "Ben", unread: 2, last: message(2, "two") } });
    mock.send("message", { message: message(2, "two") });
    await page.getByRole("link", { name: /People 2 unread/ }).waitFor();
    assert.ok((await page.title()).startsWith("(2)"));
    await page.locator(".note", { hasText: "Message from Ben" }).getByRole("button", { name: "Read" }).click();
    await mock.request("mark_read", (request) => request.with === "Ben");
    for (const state of ["sending", "delivered"]) mock.send("message", { message: message(3, "mine", { mine: true, state }) });
    await page.getByText("delivered").waitFor();
    assert.equal(await page.getByText("mine", { exact: true }).count(), 1);
});

scenario("an offer is said once, and the permission for notifications is asked for by a button only", { has: { people: [ron] }, options: { permissions: [] } }, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    await page.evaluate(() => {
        globalThis.asked = 0;
        Object.defineProperty(Notification, "permission", { get: () => "default" });
        Notification.requestPermission = async () => { globalThis.asked += 1; return "default"; };
        location.hash = "offers";
    });
    await page.getByText("No offers").waitFor();
    assert.equal(await page.getByRole("button", { name: "Turn on notifications" }).count(), 0);
    mock.send("incoming_offer", { offer: incoming(4, "Ben") });
    await page.locator(".note", { hasText: "Ben offers you files" }).waitFor();
    assert.equal(await page.evaluate(() => globalThis.asked), 0);
    await page.getByRole("button", { name: "Turn on notifications" }).click();
    assert.equal(await page.evaluate(() => globalThis.asked), 1);
});

scenario("the live region speaks at most every five seconds", { has: { people: [ron] } }, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    await page.evaluate(() => {
        globalThis.spoken = [];
        new MutationObserver(() => globalThis.spoken.push(performance.now())).observe(document.getElementById("live"), { childList: true });
    });
    for (let at = 0; at < 12; at += 1) mock.send("notice", { code: "x", text: `Note ${at}` });
    await page.waitForFunction(() => globalThis.spoken.length === 1);
    mock.send("notice", { code: "x", text: "Later note" });
    await page.waitForFunction(() => globalThis.spoken.length === 2);
    const [first, second] = await page.evaluate(() => globalThis.spoken);
    assert.ok(second - first >= 4900, `${second - first} ms`);
    assert.equal(await page.locator("[aria-live], [role=alert], [role=status]").count(), 1);
});
