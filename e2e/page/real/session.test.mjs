// Sign-in on the real page, and what must stay secret.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { listensAt } from "../lib/programs.mjs";
import { signedIn, signIn } from "../lib/steps.mjs";
import { story } from "../lib/story.mjs";

const HOSTILE = "<img src=x onerror=alert(1)><b>bold.txt";
const REVERSED = "invoice\u202egpj.exe";

story("signs in after comparing the fingerprint, and lists the files", async (world, open) => {
    world.addFile("hello.txt", "Hello\n");
    world.addFile("docs/a.txt", "a");
    const { page } = await signedIn(world, open);
    await page.getByRole("row", { name: /hello\.txt/ }).waitFor();
    await page.getByRole("button", { name: "docs", exact: true }).click();
    await page.getByRole("row", { name: /a\.txt/ }).waitFor();
    await page.reload();
    // The secret of the tab outlives a reload, and the place too.
    await page.getByRole("row", { name: /a\.txt/ }).waitFor();
});

story("listens on loopback only", async (world) => {
    const program = await world.startPage();
    const addresses = new Set(listensAt(program.id));
    const loopback = new Set(["0100007F", "00000000000000000000000001000000"]);
    assert.ok(addresses.size > 0);
    for (const address of addresses) assert.ok(loopback.has(address), address);
});

story("keeps the code and the secret out of address, page, log, and list of processes", async (world, open) => {
    const { program, page } = await signedIn(world, open);
    const code = program.link.split("#code=")[1];
    const secret = await page.evaluate(() => sessionStorage.getItem("quiver-secret"));
    assert.ok(secret.length >= 32);
    const shown = [page.url(), await page.content(), await page.evaluate(() => JSON.stringify([history.state, document.cookie, localStorage]))].join("\n");
    const processes = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry)).map((id) => {
        try {
            return readFileSync(`/proc/${id}/cmdline`, "utf8");
        } catch {
            return "";
        }
    }).join("\n");
    const log = program.lines.filter((line) => line !== program.link).join("\n") + world.server.text;
    for (const [what, text] of Object.entries({ shown, processes, log })) {
        for (const value of [code, secret]) assert.equal(text.includes(value), false, what);
    }
});

story("refuses the code a second time, and another secret", async (world, open) => {
    const { program } = await signedIn(world, open);
    const second = await open(program.link);
    await second.getByText("Open this page from Quiver").waitFor();
    await second.evaluate(() => sessionStorage.setItem("quiver-secret", "0".repeat(64)));
    await second.reload();
    await second.getByText("no longer valid").waitFor();
});

story("refuses a changed key with both fingerprints, and says where the known one is", async (world, open) => {
    const first = await world.startPage();
    const page = await open(first.link);
    await signIn(page, world, "Ron");
    await page.getByRole("button", { name: "Disconnect", exact: true }).click();
    await page.getByRole("button", { name: "Connect", exact: true }).waitFor();
    await world.server.stop();
    const known = world.fingerprint;
    rmSync(`${world.folder}/server/certs`, { recursive: true });
    await world.startServer();
    assert.notEqual(world.fingerprint, known);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByText("The server shows another key than before").waitFor();
    const shown = (await page.locator(".fingerprint").allInnerTexts()).map((text) => text.replace(/\W/g, ""));
    assert.ok(shown.some((text) => text.endsWith(known)) && shown.some((text) => text.endsWith(world.fingerprint)), String(shown));
    await page.getByText("known_servers").waitFor();
});

story("waits for a free slot by itself", async (world, open) => {
    await world.server.stop();
    await world.startServer(1);
    const ben = world.client("Ben");
    await world.server.wait(/Ben/);
    const program = await world.startPage();
    const page = await open(program.link);
    await page.getByLabel("Server", { exact: true }).fill(world.address);
    await page.getByLabel(/^Your name/).fill("Ron");
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByRole("button", { name: "It is the same: connect" }).click();
    await page.getByText("The server is full").waitFor();
    await page.getByRole("button", { name: "Enter when a slot is free" }).click();
    await page.getByText("Waiting for a free slot").waitFor();
    await ben.stop();
    await page.getByRole("heading", { name: "Files", exact: true }).waitFor();
});

story("names with markup and right-to-left marks are inert", async (world, open) => {
    world.addFile(HOSTILE, "x");
    world.addFile(REVERSED, "y");
    const { page } = await signedIn(world, open);
    const dialogs = [];
    page.on("dialog", (dialog) => { dialogs.push(dialog); void dialog.dismiss(); });
    await page.getByText(HOSTILE).first().waitFor();
    await page.getByText("invoice\\u{202e}gpj.exe").first().waitFor();
    await page.getByRole("button", { name: `Get ${HOSTILE}` }).click();
    // A row's key, which nobody sees or hears, has the name as it is.
    const look = () => page.evaluate(() => {
        const attributes = [...document.querySelectorAll("*")].flatMap((element) => [...element.attributes]).filter(({ name }) => name !== "data-row");
        const text = [document.title, document.body.textContent, ...attributes.map(({ value }) => value)].join("\n");
        return [document.images.length, document.scripts.length, /[\u202a-\u202e]/.test(text)];
    });
    assert.deepEqual(await look(), [0, 1, false]);
    await page.getByRole("link", { name: /^Transfers/ }).click();
    await page.getByRole("article", { name: HOSTILE }).waitFor();
    assert.deepEqual(await look(), [0, 1, false]);
    assert.deepEqual(dialogs, []);
});
