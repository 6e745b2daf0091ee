// The keyboard alone does everything; the focus stays where it was when the page changes.

import assert from "node:assert/strict";
import { incoming, message, person, transfer } from "../lib/samples.mjs";
import { focused, tabTo } from "../lib/keyboard.mjs";
import { scenario } from "../lib/scenario.mjs";

scenario("signs in", { has: { connection: { state: "signed_out", server: null, name: null, failure: null }, people: [] } }, async (page, mock) => {
    await page.getByLabel("Server").waitFor();
    await tabTo(page, "", { most: 1 });
    await page.keyboard.type("lab.internal");
    await page.keyboard.press("Tab");
    await page.keyboard.type("Ron");
    await page.keyboard.press("Enter");
    const { server, name } = await mock.request("connect");
    assert.deepEqual([server, name], ["lab.internal", "Ron"]);
    mock.send("question", { question: { question: 1, kind: "password" } });
    await page.getByRole("dialog", { name: "Password" }).waitFor();
    await page.keyboard.type("correct horse");
    await page.keyboard.press("Enter");
    assert.deepEqual((await mock.request("answer")).answer, { password: "correct horse" });
});

scenario("moves through the files, selects, gets", {}, async (page, mock) => {
    await page.getByRole("button", { name: "meow.txt", exact: true }).waitFor();
    await tabTo(page, /archive/);
    for (let at = 0; at < 4; at += 1) await page.keyboard.press("ArrowDown");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("data-row")), "a2.txt");
    await page.keyboard.press("Space");
    await page.keyboard.press("Shift+ArrowDown");
    await page.getByText("2 selected").waitFor();
    await tabTo(page, "Get", { key: "Shift+Tab" });
    await page.keyboard.press("Enter");
    assert.deepEqual((await mock.request("get")).paths, ["a2.txt", "a10.txt"]);
});

scenario("opens a folder with Enter and leaves it with Backspace", {}, async (page, mock) => {
    await page.getByRole("button", { name: "meow.txt", exact: true }).waitFor();
    await tabTo(page, /archive/);
    await page.keyboard.press("Enter");
    await mock.request("list", ({ folder }) => folder === "archive");
    await page.getByText("This folder is empty").waitFor();
    assert.ok((await page.title()).startsWith("archive"));
    assert.equal(await focused(page), "archive");
});

scenario("uploads a file that is chosen on this computer", {}, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    await tabTo(page, "Upload files");
    await page.keyboard.press("Enter");
    await page.getByRole("row", { name: /thesis/ }).waitFor();
    await tabTo(page, /Documents/);
    for (let at = 0; at < 5; at += 1) await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Space");
    await tabTo(page, "Upload 1 file");
    await page.keyboard.press("Enter");
    const { paths, to, on_conflict } = await mock.request("put");
    assert.deepEqual([paths, to, on_conflict], [["/home/ron/thesis.pdf"], "", "ask"]);
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    assert.equal(await focused(page), "Upload files");
});

scenario("the menu of a file opens, moves and closes, and the focus returns", {}, async (page) => {
    await page.getByRole("button", { name: "meow.txt", exact: true }).waitFor();
    await tabTo(page, "Actions for archive");
    await page.keyboard.press("Enter");
    await page.getByRole("menu").waitFor();
    assert.equal(await focused(page), "Open");
    await page.keyboard.press("ArrowDown");
    assert.equal(await focused(page), "Get");
    await page.keyboard.press("Escape");
    await page.getByRole("menu").waitFor({ state: "hidden" });
    assert.equal(await focused(page), "Actions for archive");
});

scenario("a deletion is asked about, and Escape keeps the file", {}, async (page, mock) => {
    await page.getByRole("button", { name: "meow.txt", exact: true }).waitFor();
    await tabTo(page, /archive/);
    await page.keyboard.press("Delete");
    await page.getByRole("dialog", { name: "Delete" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    assert.equal(mock.requests.some((request) => request.do === "remove"), false);
    await page.keyboard.press("Delete");
    await page.getByRole("dialog", { name: "Delete" }).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).press("Enter");
    assert.deepEqual((await mock.request("remove")).paths, ["archive"]);
});

scenario("accepts an offer, and sends a file to a person", { has: { people: [person(2, "Ron", { is_self: true }), person(1, "Ben")], incoming: [incoming(7, "Ben")] } }, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    await tabTo(page, /^Offers/);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Offers", exact: true }).waitFor();
    await tabTo(page, "Accept");
    await page.keyboard.press("Enter");
    assert.deepEqual((({ offer, folder }) => [offer, folder])(await mock.request("accept")), [7, "/home/ron/Downloads"]);
    await tabTo(page, /^People/);
    await page.keyboard.press("Enter");
    // The offers have a button of this name too.
    await page.getByRole("heading", { name: "People", exact: true }).waitFor();
    await tabTo(page, /Ben/);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Ben", exact: true }).waitFor();
    await tabTo(page, "Send files");
    await page.keyboard.press("Enter");
    await page.getByRole("row", { name: /notes.txt/ }).waitFor();
    await tabTo(page, /Documents/);
    await page.keyboard.press("Space");
    await tabTo(page, "Offer 1 item");
    await page.keyboard.press("Enter");
    assert.deepEqual((await mock.request("send")).paths, ["/home/ron/Documents"]);
});

scenario("writes a message, and a failed one can be written again", { at: "people/Ben", has: { people: [person(2, "Ron", { is_self: true }), person(1, "Ben")] } }, async (page, mock) => {
    await page.getByLabel("Message to Ben").press("a");
    await page.keyboard.type("nd <b>so</b> on");
    await page.keyboard.press("Enter");
    assert.equal((await mock.request("say")).text, "and <b>so</b> on");
    mock.send("message", { message: message(9, "and <b>so</b> on", { mine: true, state: "delivered" }) });
    await page.getByText("and <b>so</b> on").waitFor();
    assert.equal(await page.getByLabel("Message to Ben").inputValue(), "");
});

scenario("the focus and the typed text survive updates", { at: "transfers", has: { transfers: [transfer("1:1"), transfer("1:2", { names: ["b.iso"] })] } }, async (page, mock) => {
    const pause = page.getByRole("button", { name: "Pause b.iso" });
    await pause.focus();
    for (let at = 1; at <= 20; at += 1) mock.send("transfers", { transfers: [transfer("1:1", { verified: at * 1e7, state: at % 2 ? "paused" : "running" }), transfer("1:2", { names: ["b.iso"], verified: at * 1e7 })], gone: [] });
    mock.send("transfers", { transfers: [transfer("1:3", { names: ["new.iso"] })], gone: ["1:1"] });
    await page.getByRole("button", { name: "Pause new.iso" }).waitFor();
    assert.equal(await focused(page), "Pause b.iso");
    await page.keyboard.press("Enter");
    assert.equal((await mock.request("pause")).transfer, "1:2");
});

scenario("a question is answered, and Escape puts it off", { has: { questions: [{ question: 3, kind: "conflict", path: "a.txt" }] } }, async (page, mock) => {
    await page.getByRole("dialog", { name: "This file exists and differs" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("1 question waits").waitFor();
    assert.equal(mock.requests.some((request) => request.do === "answer"), false);
    await page.getByRole("button", { name: "Answer" }).press("Enter");
    await page.getByLabel("The same for all that follow").press("Space");
    await page.getByRole("button", { name: "Keep both" }).press("Enter");
    assert.deepEqual((await mock.request("answer")).answer, { decision: "keep_both", for_all: true });
    mock.send("question_settled", { question: 3 });
    await page.getByRole("dialog").waitFor({ state: "hidden" });
});

scenario("a transfer is steered from the command line by its number, or by its name without one", { at: "transfers", has: { transfers: [transfer("71:1", { number: 4 }), transfer("71:2", { names: ["b.iso"], state: "paused", can: ["resume", "cancel"] })] } }, async (page) => {
    await page.getByRole("button", { name: "Actions for recording-2026.mkv" }).click();
    await page.getByRole("menuitem", { name: "Copy as command" }).click();
    const dialog = page.getByRole("dialog");
    for (const command of ["quiver pause 4", "quiver cancel 4"]) await dialog.getByText(command, { exact: true }).waitFor();
    await dialog.getByRole("button", { name: "Copy: Pause" }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "quiver pause 4");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Actions for b.iso" }).click();
    await page.getByRole("menuitem", { name: "Copy as command" }).click();
    await page.getByRole("dialog").getByText("quiver resume 71:2", { exact: true }).waitFor();
});
