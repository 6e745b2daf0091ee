// Names and texts of other machines stay text, in every view.

import assert from "node:assert/strict";
import { connection, entry, incoming, message, outgoing, person, transfer } from "../lib/samples.mjs";
import { scenario } from "../lib/scenario.mjs";

const MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>";
const RTL = "invoice\u202egpj.exe";
const SHOWN = "invoice\\u{202e}gpj.exe";
const has = {
    connection: connection({ server: MARKUP, not_listening_why: MARKUP, listening: false }), people: [person(2, "Ron", { is_self: true }), person(1, MARKUP), person(3, RTL)], conversations: [{ with: MARKUP, unread: 1, last: message(1, MARKUP, { with: MARKUP }) }],
    incoming: [incoming(1, MARKUP, { names: [{ name: MARKUP, kind: "file" }, { name: RTL, kind: "file" }] }), incoming(2, "Ben", { state: "failed", why: MARKUP })], outgoing: [outgoing(1, RTL, { why: MARKUP })],
    transfers: [transfer("1:1", { names: [MARKUP], limited_by: MARKUP, error: { code: "other", text: MARKUP } }), transfer("1:2", { names: [RTL], with: "@" + MARKUP })],
};
const own = { list: () => ({ entries: [entry(MARKUP, { kind: "file" }), entry(RTL, { kind: "file" })], more: false, partial_note: MARKUP }), messages: () => ({ messages: [message(1, MARKUP, { with: MARKUP }), message(2, RTL, { with: MARKUP })], more: false }) };

scenario("markup is inert and directions cannot be turned, in every view", { has, with: own }, async (page, mock) => {
    let dialogs = 0;
    page.on("dialog", (dialog) => { dialogs += 1; void dialog.dismiss(); });
    for (const [place, text] of [["files", MARKUP], ["transfers", MARKUP], ["people", MARKUP], [`people/${encodeURIComponent(MARKUP)}`, MARKUP], ["offers", MARKUP], ["settings", MARKUP], ["files", SHOWN], ["transfers", SHOWN], ["people", SHOWN], ["offers", SHOWN], [`people/${encodeURIComponent(MARKUP)}`, SHOWN]]) {
        await page.evaluate((hash) => { location.hash = hash; }, place);
        await page.getByText(text).first().waitFor();
        const found = await page.evaluate(() => ({ images: document.images.length, scripts: document.scripts.length, overrides: /[\u202a-\u202e\u2066-\u2069]/.test(document.body.textContent + document.title) }));
        assert.deepEqual(found, { images: 0, scripts: 1, overrides: false }, place);
    }
    mock.send("notice", { code: "x", text: MARKUP });
    mock.send("question", { question: { question: 1, kind: "replace", path: MARKUP, on_server: true } });
    await page.getByRole("dialog").getByText(MARKUP).waitFor();
    assert.equal(dialogs, 0);
});

scenario("names are isolated from the direction of the text around them", { with: own }, async (page) => {
    await page.getByText(SHOWN).first().waitFor();
    assert.equal(await page.getByText(SHOWN).first().evaluate((element) => element.tagName), "BDI");
});

scenario("the page keeps its policy: no inline script, no markup from strings", {}, async (page) => {
    await page.getByText("meow.txt").waitFor();
    const refused = await page.evaluate(() => {
        try {
            document.body.innerHTML = "<b>x</b>";
            return false;
        } catch {
            return true;
        }
    });
    assert.ok(refused);
    page.problems.length = 0;
});

scenario("a command quotes what a shell would read", { with: { list: () => ({ entries: [entry("it's; rm -rf $HOME.txt"), entry("-rf.txt")], more: false }) } }, async (page) => {
    await page.getByRole("button", { name: "Actions for it's" }).click();
    await page.getByRole("menuitem", { name: "Copy as command" }).click();
    await page.getByRole("button", { name: "Copy: Get" }).click();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(command, "quiver --server files.example.org:4433 --name Ron get 'it'\\''s; rm -rf $HOME.txt' -o /home/ron/Downloads");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Actions for -rf.txt" }).click();
    await page.getByRole("menuitem", { name: "Copy as command" }).click();
    await page.getByRole("dialog").getByText("rm ./-rf.txt").waitFor();
});
