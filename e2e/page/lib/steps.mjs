// What people do first on the page: sign in; and waiting for what has no event.

import assert from "node:assert/strict";

/** Signs in on the page that is shown first. Compares the fingerprint. */
export async function signIn(page, world, name) {
    await page.getByLabel("Server", { exact: true }).fill(world.address);
    await page.getByLabel(/^Your name/).fill(name);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    const question = page.getByRole("dialog", { name: "Is this the right server?" });
    await question.waitFor();
    const shown = (await question.locator(".fingerprint").innerText()).replace(/\W/g, "");
    assert.ok(shown.endsWith(world.fingerprint), `${shown} is not ${world.fingerprint}`);
    await question.getByRole("button", { name: "It is the same: connect" }).click();
    await page.getByRole("heading", { name: "Files", exact: true }).waitFor();
}

/** Starts a page, opens it with `open`, and signs in. */
export async function signedIn(world, open, name = "Ron") {
    const program = await world.startPage(name);
    const page = await open(program.link);
    await signIn(page, world, name);
    return { program, page };
}

/** Waits until `test` holds, without events to wait for. */
export async function until(what, test) {
    const end = Date.now() + 30_000;
    while (!(await test())) {
        if (Date.now() > end) assert.fail(`not within 30 s: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
