// Takes the pictures of README.md, docs/pictures/*.png: the real page against a real server and real clients.

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { closeBrowser, launch, openPage } from "./lib/browser.mjs";
import { write, World } from "./lib/programs.mjs";
import { signIn, until } from "./lib/steps.mjs";

const FOLDER = new URL("../../docs/pictures/", import.meta.url).pathname;
const MAX_BYTES = 100_000;
const GIGABYTE = 1_000_000_000;

/** The server's files, by size in bytes. */
const FILES = { "photos 2026/01.jpg": 4_812_004, "talks/opening.odp": 18_300_112, "data/run-1.csv": 90_112, "meeting-notes.md": 3_412, "paper-draft.pdf": 1_204_551,
    "recording-2026-11.mkv": 3 * GIGABYTE, "backup-laptop.tar.zst": 3 * GIGABYTE, "poster.svg": 61_204 };

mkdirSync(FOLDER, { recursive: true });
const world = new World();
const browser = await launch();
try {
    await world.startServer();
    for (const [path, size] of Object.entries(FILES)) world.addFile(path, size);
    const program = await world.startPage("Ron");
    const page = await openPage(browser, program.link, { viewport: { width: 1000, height: 520 }, reducedMotion: "reduce" });
    await signIn(page, world, "Ron");
    const take = async (name) => {
        for (let note = page.locator(".note").getByRole("button", { name: "Close" }); (await note.count()) > 0;) await note.first().click({ timeout: 1000 }).catch(() => {});
        await page.mouse.move(0, 0);
        await page.locator("main").evaluate((main) => { for (const part of [main, ...main.querySelectorAll("*")]) part.scrollTop = 0; });
        const path = join(FOLDER, `${name}.png`);
        await page.screenshot({ path });
        const { size } = statSync(path);
        if (size > MAX_BYTES) throw new Error(`${path} has ${size} bytes, more than ${MAX_BYTES}`);
        console.log(`${path}: ${size} bytes`);
    };
    const go = (name) => page.getByRole("link", { name: new RegExp(`^${name}`) }).click();

    await page.getByRole("checkbox", { name: "Select paper-draft.pdf" }).check();
    await page.getByRole("checkbox", { name: "Select photos 2026" }).check();
    await take("files");

    // After the first picture: who joins is announced over the list.
    const clients = ["Ben", "Pete", "Ann"].map((name) => world.client(name, "receive"));

    await go("People");
    await page.getByRole("link", { name: /Ben #/ }).click();
    const say = async (text) => {
        await page.getByLabel("Message to Ben").fill(text);
        await page.keyboard.press("Enter");
        await page.getByText(text).waitFor();
    };
    await say("Hi Ben, the recording is on the server now.");
    await clients[0].wait(/recording is on the server/);
    await page.getByText("delivered").first().waitFor();
    await clients[0].stop();
    await world.run("Ben", "tell", "Ron", "Great, I am getting it. Here are the slides too.");
    write(join(world.home("Ben"), "slides.odp"), 18_300_112);
    world.client("Ben", "send", "Ron", "slides.odp");
    await page.getByText("Here are the slides too").first().waitFor();
    await page.getByText("Ben offers you files").first().waitFor();
    await say("Thank you!");
    await take("people");

    await go("Files");
    await page.getByRole("button", { name: "Get", exact: true }).click();
    await page.getByRole("button", { name: "Get recording-2026-11.mkv" }).click();
    await go("Transfers");
    await page.getByRole("button", { name: /^Details recording/ }).click();
    const shown = async () => Number((await page.getByRole("article", { name: /^recording/ }).getByRole("progressbar").getAttribute("aria-valuenow", { timeout: 5000 })) ?? 0);
    await until("a fifth of it is there", async () => (await shown()) >= 20);
    await page.getByText(/left$/).first().waitFor();
    await take("transfers");
} finally {
    await closeBrowser(browser);
    await world.end();
}
