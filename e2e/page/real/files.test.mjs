// Files of a real server through the page: by path, in both directions.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { write } from "../lib/programs.mjs";
import { signedIn, until } from "../lib/steps.mjs";
import { story } from "../lib/story.mjs";

const isDone = (page, name) => page.getByRole("article", { name }).getByText("done").first().waitFor();
const transfers = (page) => page.getByRole("link", { name: /^Transfers/ }).click();

story("gets a file into a folder of this computer", async (world, open) => {
    world.addFile("hello.txt", "Hello\n");
    const { program, page } = await signedIn(world, open);
    await page.getByRole("button", { name: "Actions for hello.txt" }).click();
    await page.getByRole("menuitem", { name: "Get to a folder" }).click();
    const dialog = page.getByRole("dialog", { name: "Get to a folder" });
    await dialog.getByRole("button", { name: "To the folder above" }).click();
    await dialog.getByRole("button", { name: "Downloads", exact: true }).click();
    await dialog.getByText(join(program.home, "Downloads")).waitFor();
    await dialog.getByRole("button", { name: "Use this folder" }).click();
    await transfers(page);
    await isDone(page, "hello.txt");
    assert.equal(readFileSync(join(program.home, "Downloads/hello.txt"), "utf8"), "Hello\n");
});

story("uploads a file and a folder by path", async (world, open) => {
    const { program, page } = await signedIn(world, open);
    write(join(program.home, "paper.txt"), "A paper\n");
    write(join(program.home, "album/one.txt"), "1");
    write(join(program.home, "album/two.txt"), "2");
    await page.getByRole("button", { name: "Upload files" }).click();
    await page.getByRole("checkbox", { name: "Select paper.txt" }).check();
    await page.getByRole("button", { name: "Upload 1 file" }).click();
    await page.getByRole("row", { name: /paper\.txt/ }).waitFor();
    await page.getByRole("button", { name: "Upload a folder" }).click();
    await page.getByRole("button", { name: "album", exact: true }).click();
    await page.getByRole("dialog").getByText(join(program.home, "album")).waitFor();
    await page.getByRole("button", { name: "Use this folder" }).click();
    await transfers(page);
    await isDone(page, "album");
    assert.equal(readFileSync(join(world.files, "paper.txt"), "utf8"), "A paper\n");
    assert.equal(readFileSync(join(world.files, "album/two.txt"), "utf8"), "2");
});

story("makes a folder, renames it, and deletes it after a question", async (world, open) => {
    const { page } = await signedIn(world, open);
    await page.getByRole("button", { name: "New folder" }).click();
    await page.getByLabel("Name", { exact: true }).fill("first name");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Actions for first name" }).click();
    await page.getByRole("menuitem", { name: "Rename" }).click();
    await page.getByLabel("Name", { exact: true }).fill("second");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Actions for second" }).click();
    assert.ok(statSync(join(world.files, "second")).isDirectory());
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await page.getByRole("dialog", { name: "Delete" }).getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Actions for second" }).waitFor({ state: "detached" });
    assert.equal(existsSync(join(world.files, "second")), false);
});

story("a file that exists with other content is asked about", async (world, open) => {
    world.addFile("a.txt", "of the server");
    const { program, page } = await signedIn(world, open);
    write(join(program.home, "Downloads/a.txt"), "of this computer");
    await page.getByRole("button", { name: "Get a.txt" }).click();
    const question = page.getByRole("dialog");
    await question.getByRole("button", { name: "Replace" }).click();
    await transfers(page);
    await isDone(page, "a.txt");
    assert.equal(readFileSync(join(program.home, "Downloads/a.txt"), "utf8"), "of the server");
});

story("a transfer by path goes on while the tab is closed", async (world, open) => {
    world.addFile("large.bin", 1_500_000_000);
    const { program, page } = await signedIn(world, open);
    await page.getByRole("button", { name: "Get large.bin" }).click();
    await transfers(page);
    await page.getByRole("button", { name: "Pause large.bin" }).click();
    await page.getByRole("button", { name: "Resume large.bin" }).waitFor();
    await page.close();
    const again = await open(await world.anotherLink(program));
    await transfers(again);
    await again.getByRole("button", { name: "Resume large.bin" }).click();
    await again.getByRole("button", { name: "Pause large.bin" }).waitFor();
    await again.close();
    await until("the file is there", () => existsSync(join(program.home, "Downloads/large.bin")));
    assert.equal(statSync(join(program.home, "Downloads/large.bin")).size, 1_500_000_000);
    const last = await open(await world.anotherLink(program));
    await transfers(last);
    await isDone(last, "large.bin");
});

story("a transfer that is cancelled stops, and the next one of the same file continues it", async (world, open) => {
    world.addFile("large.bin", 1_500_000_000);
    const { program, page } = await signedIn(world, open);
    const target = join(program.home, "Downloads/large.bin");
    await page.getByRole("button", { name: "Get large.bin" }).click();
    await transfers(page);
    await page.getByRole("button", { name: "Cancel the transfer large.bin" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the transfer" }).click();
    await page.getByRole("article", { name: "large.bin" }).getByText("cancelled").waitFor();
    assert.equal(existsSync(target), false);
    await page.getByRole("link", { name: /^Files/ }).click();
    await page.getByRole("button", { name: "Get large.bin" }).click();
    await transfers(page);
    await isDone(page, "large.bin");
    assert.equal(statSync(target).size, 1_500_000_000);
    assert.deepEqual(readdirSync(join(program.home, "Downloads")), ["large.bin"]);
});

story("the page survives a restart of the server, and its transfer resumes", async (world, open) => {
    world.addFile("large.bin", 1_000_000_000);
    const { program, page } = await signedIn(world, open);
    await page.getByRole("button", { name: "Get large.bin" }).click();
    await transfers(page);
    await page.getByRole("button", { name: "Pause large.bin" }).waitFor();
    await world.server.stop("SIGKILL");
    await page.getByText("Reconnecting", { exact: true }).waitFor();
    await world.startServer();
    await page.getByText("Connected", { exact: true }).waitFor();
    await isDone(page, "large.bin");
    assert.equal(statSync(join(program.home, "Downloads/large.bin")).size, 1_000_000_000);
});

story("two pages and a client at the command line work at once", async (world, open) => {
    world.addFile("a.txt", "a");
    const { program, page } = await signedIn(world, open);
    const second = await open(await world.anotherLink(program));
    await second.getByRole("row", { name: /a\.txt/ }).waitFor();
    write(join(world.home("Ben"), "b.txt"), "b");
    const put = await world.run("Ben", "put", "b.txt");
    assert.equal(put.code, 0, put.text);
    await page.getByRole("button", { name: "New folder" }).click();
    await page.getByLabel("Name", { exact: true }).fill("both");
    await page.keyboard.press("Enter");
    for (const each of [page, second]) {
        await each.getByRole("row", { name: /both/ }).waitFor();
        await each.getByRole("row", { name: /b\.txt/ }).waitFor();
    }
    await second.getByRole("button", { name: "Get a.txt" }).click();
    await transfers(page);
    await isDone(page, "a.txt");
});

story("a transfer of another program is paused, resumed and cancelled on the page", async (world, open) => {
    world.addFile("large.bin", 1_000_000_000);
    const { page } = await signedIn(world, open);
    const get = world.client("Ron", "get", "large.bin", "--limit", "10MB/s");
    await transfers(page);
    await page.getByRole("button", { name: "Pause large.bin" }).click();
    await get.wait(/paused/i);
    await page.getByRole("button", { name: "Resume large.bin" }).click();
    await page.getByRole("button", { name: "Pause large.bin" }).waitFor();
    await page.getByRole("button", { name: "Cancel the transfer large.bin" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the transfer" }).click();
    assert.equal(await get.exit(), 130, get.text);
    // What it has received is kept, and the page can continue it.
    await page.getByRole("article", { name: "large.bin" }).getByText("unfinished from before").first().waitFor();
});
