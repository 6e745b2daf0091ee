// What a browser hands over to a real process: drops, pasted files; and previews.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { drop, paste } from "../lib/drop.mjs";
import { write } from "../lib/programs.mjs";
import { signedIn, until } from "../lib/steps.mjs";
import { story } from "../lib/story.mjs";

const HOSTILE = "<img src=x onerror=alert(1)>.txt";
/** A picture of one pixel. */
const PICTURE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

/** All files below a folder. */
const filesBelow = (folder) => (existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()) : []);

story("a dropped folder is uploaded whole, and nothing of it stays in the spool", async (world, open) => {
    const { program, page } = await signedIn(world, open);
    const folder = join(world.folder, "dropped/album");
    for (let at = 0; at < 150; at += 1) write(join(folder, `part-${at % 7}/${at}.txt`), `content ${at}`);
    write(join(folder, HOSTILE), "hostile");
    await drop(page, page.locator(".view.files"), [folder]);
    await page.getByText("Quiver has 151 files").first().waitFor();
    await page.getByRole("link", { name: /^Transfers/ }).click();
    await page.getByRole("article", { name: "album" }).getByText("done").first().waitFor();
    assert.equal(readFileSync(join(world.files, "album", HOSTILE), "utf8"), "hostile");
    for (let at = 0; at < 150; at += 1) assert.equal(readFileSync(join(world.files, `album/part-${at % 7}/${at}.txt`), "utf8"), `content ${at}`);
    await until("the spool is empty", () => filesBelow(join(program.home, "cache")).every(({ name }) => !name.endsWith(".txt")));
});

story("a pasted file is uploaded into the folder that is shown", async (world, open) => {
    world.addFile("notes/a.txt", "a");
    const { page } = await signedIn(world, open);
    await page.getByRole("button", { name: "notes", exact: true }).click();
    await page.getByRole("row", { name: /a\.txt/ }).waitFor();
    await paste(page, "pasted.txt", "from the clipboard");
    await page.getByRole("row", { name: /pasted\.txt/ }).waitFor();
    assert.equal(readFileSync(join(world.files, "notes/pasted.txt"), "utf8"), "from the clipboard");
});

story("a file that is dropped on a person is offered to them", async (world, open) => {
    const { page } = await signedIn(world, open);
    const ben = world.client("Ben", "receive");
    await page.getByRole("link", { name: /^People/ }).click();
    await page.getByRole("link", { name: /Ben #/ }).click();
    await page.getByLabel("Message to Ben").waitFor();
    await drop(page, page.locator(".log"), [write(join(world.folder, "dropped/gift.txt"), "A gift\n")]);
    await ben.wait(/gift\.txt/);
    await ben.stop();
    const accepted = await world.run("Ben", "accept", "1", "Downloads");
    assert.equal(accepted.code, 0, accepted.text);
    assert.equal(readFileSync(join(ben.home, "Downloads/gift.txt"), "utf8"), "A gift\n");
});

story("a tab that is closed during a drop asks first, and leaves nothing half", async (world, open) => {
    const { program, page } = await signedIn(world, open);
    await drop(page, page.locator(".view.files"), [write(join(world.folder, "dropped/large.bin"), 2_000_000_000)]);
    await page.getByText("Keep this tab open").waitFor();
    const asked = page.waitForEvent("dialog");
    const closing = page.close({ runBeforeUnload: true });
    const dialog = await asked;
    assert.equal(dialog.type(), "beforeunload");
    await dialog.accept();
    await closing;
    const again = await open(await world.anotherLink(program));
    await again.getByRole("heading", { name: "Files", exact: true }).waitFor();
    await until("the spool is swept", () => filesBelow(join(program.home, "cache")).every(({ name }) => name !== "large.bin"));
    assert.deepEqual(readdirSync(world.files), []);
});

story("text and pictures are previewed as such, and never as markup", async (world, open) => {
    world.addFile("page.html", "<script>document.title = 'gone'</script>\nplain");
    world.addFile("dot.png", PICTURE);
    world.addFile("fake.png", "<svg onload=alert(1)>");
    world.addFile("data.bin", Buffer.from([0, 1, 2, 3]));
    const { page } = await signedIn(world, open);
    await page.getByRole("button", { name: "page.html", exact: true }).click();
    await page.getByRole("dialog").getByText("<script>document.title = 'gone'</script>").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "dot.png", exact: true }).click();
    const picture = page.getByRole("dialog").getByRole("img", { name: "dot.png" });
    await picture.waitFor();
    assert.equal(await picture.evaluate((image) => image.decode().then(() => image.naturalWidth)), 1);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "fake.png", exact: true }).click();
    // The content decides, not the name: it is text.
    await page.getByRole("dialog").getByText("<svg onload=alert(1)>").waitFor();
    assert.equal(await page.getByRole("dialog").getByRole("img", { name: "fake.png" }).count(), 0);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Actions for data.bin" }).click();
    assert.equal(await page.getByRole("menuitem", { name: "Preview" }).count(), 0);
    assert.notEqual(await page.title(), "gone");
});

story("a conversation is there again after a restart, and can be cleared", async (world, open) => {
    const { program, page } = await signedIn(world, open);
    const ben = world.client("Ben", "receive");
    await page.getByRole("link", { name: /^People/ }).click();
    await page.getByRole("link", { name: /Ben #/ }).click();
    await page.getByLabel("Message to Ben").fill("remember this");
    await page.keyboard.press("Enter");
    await ben.wait(/remember this/);
    await page.getByText("delivered").first().waitFor();
    await page.context().close();
    await program.stop();
    const again = await world.startPage("Ron");
    const second = await open(again.link);
    await second.getByRole("button", { name: "Connect", exact: true }).click();
    await second.getByRole("link", { name: /^People/ }).click();
    await second.getByRole("link", { name: /Ben/ }).first().click();
    await second.getByText("remember this").first().waitFor();
    await second.getByRole("button", { name: "Actions for Ben" }).click();
    await second.getByRole("menuitem", { name: "Clear the conversation" }).click();
    await second.getByRole("dialog").getByRole("button", { name: "Clear the conversation" }).click();
    await second.getByText("No messages yet").waitFor();
});
