// Messages and offers between the page and clients at the command line.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tabTo } from "../lib/keyboard.mjs";
import { write } from "../lib/programs.mjs";
import { signedIn, until } from "../lib/steps.mjs";
import { story } from "../lib/story.mjs";

story("messages go to a person and come from one", async (world, open) => {
    const { page } = await signedIn(world, open);
    const ben = world.client("Ben", "receive");
    await page.getByRole("link", { name: /^People/ }).click();
    await page.getByRole("link", { name: /Ben #/ }).click();
    await page.getByLabel("Message to Ben").fill("Hello <b>Ben</b>");
    await page.keyboard.press("Enter");
    await page.getByText("delivered").first().waitFor();
    await ben.wait(/Hello <b>Ben<\/b>/);
    const told = await world.run("Ann", "tell", "Ron", "Hello <i>Ron</i>");
    assert.equal(told.code, 0, told.text);
    await page.getByText("Message from Ann").first().waitFor();
    await page.getByRole("link", { name: /Ann/ }).click();
    await page.getByText("Hello <i>Ron</i>").first().waitFor();
    await page.getByRole("link", { name: "The server" }).click();
    await page.getByLabel("Message to The server").fill("Hello");
    await page.keyboard.press("Enter");
    await page.getByText("Hello ACK").waitFor();
});

story("an offer of another client is accepted with the keyboard alone", async (world, open) => {
    const { program, page } = await signedIn(world, open);
    write(join(world.home("Ben"), "gift.txt"), "A gift\n");
    const ben = world.client("Ben", "send", "Ron", "gift.txt");
    await page.getByText("Ben offers you files").first().waitFor();
    await tabTo(page, /^Offers/);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Offers", exact: true }).waitFor();
    await tabTo(page, "Accept");
    await page.keyboard.press("Enter");
    assert.equal(await ben.exit(), 0, ben.text);
    await until("the file is there", () => existsSync(join(program.home, "Downloads/gift.txt")));
    assert.equal(readFileSync(join(program.home, "Downloads/gift.txt"), "utf8"), "A gift\n");
    await page.getByText("stored", { exact: true }).first().waitFor();
});

story("a file is sent to a person with the keyboard alone", async (world, open) => {
    const { program, page } = await signedIn(world, open);
    write(join(program.home, "letter.txt"), "A letter\n");
    const ben = world.client("Ben", "receive");
    await tabTo(page, /^People/);
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: /Ben #/ }).waitFor();
    await tabTo(page, /Ben #/);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Ben", exact: true }).waitFor();
    await tabTo(page, "Send files");
    await page.keyboard.press("Enter");
    const row = page.getByRole("row", { name: /letter\.txt/ });
    await row.waitFor();
    await tabTo(page, /Downloads|letter/);
    await page.keyboard.press("End");
    await page.keyboard.press("Space");
    await tabTo(page, "Offer 1 item");
    await page.keyboard.press("Enter");
    await ben.wait(/letter\.txt/);
    await ben.stop();
    const accepted = await world.run("Ben", "accept", "1", "Downloads");
    assert.equal(accepted.code, 0, accepted.text);
    await until("Ben has it", () => existsSync(join(ben.home, "Downloads/letter.txt")));
    assert.equal(readFileSync(join(ben.home, "Downloads/letter.txt"), "utf8"), "A letter\n");
});

story("an offer is declined, and its sender is told", async (world, open) => {
    const { page } = await signedIn(world, open);
    write(join(world.home("Ben"), "gift.txt"), "A gift\n");
    const ben = world.client("Ben", "send", "Ron", "gift.txt");
    await page.getByRole("link", { name: /^Offers/ }).click();
    await page.getByRole("button", { name: "Decline" }).click();
    assert.notEqual(await ben.exit(), 0);
    await ben.wait(/declined/);
    await page.getByText("declined", { exact: true }).waitFor();
});
