// Keys that are pressed before the page has drawn what they changed count with what was entered, not with what was drawn.

import assert from "node:assert/strict";
import { holdFrames, tabTo } from "../lib/keyboard.mjs";
import { scenario } from "../lib/scenario.mjs";

scenario("Enter signs in with what was typed before the next frame", { has: { connection: { state: "signed_out", server: null, name: null, failure: null }, people: [] } }, async (page, mock) => {
    await page.getByLabel("Server").waitFor();
    await holdFrames(page);
    await tabTo(page, "", { most: 1 });
    await page.keyboard.type("lab.internal");
    await page.keyboard.press("Tab");
    await page.keyboard.type("Ron");
    await page.keyboard.press("Enter");
    const { server, name } = await mock.request("connect");
    assert.deepEqual([server, name], ["lab.internal", "Ron"]);
});

scenario("an answer is for all if that was ticked before the next frame", { has: { questions: [{ question: 3, kind: "conflict", path: "a.txt" }] } }, async (page, mock) => {
    await page.getByRole("dialog", { name: "This file exists and differs" }).waitFor();
    await holdFrames(page);
    await page.getByLabel("The same for all that follow").press("Space");
    await page.getByRole("button", { name: "Keep both" }).press("Enter");
    assert.deepEqual((await mock.request("answer")).answer, { decision: "keep_both", for_all: true });
});

scenario("an upload has the files that were ticked before the next frame", {}, async (page, mock) => {
    await page.getByText("meow.txt").waitFor();
    await page.getByRole("button", { name: "Upload files" }).click();
    await page.getByRole("checkbox", { name: "Select thesis.pdf" }).press("Space");
    const upload = page.getByRole("button", { name: "Upload 1 file" });
    await upload.waitFor();
    await holdFrames(page);
    await page.getByRole("checkbox", { name: "Select letter.odt" }).press("Space");
    await upload.press("Enter");
    assert.deepEqual((await mock.request("put")).paths.sort(), ["/home/ron/letter.odt", "/home/ron/thesis.pdf"]);
});
