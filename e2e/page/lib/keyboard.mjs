// The keyboard: what has the focus, and how it gets somewhere.

import assert from "node:assert/strict";

/** The role and the name of what has the focus. */
export const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");

/** Presses Tab until the focus is on something with this name. */
export async function tabTo(page, name, { most = 60, key = "Tab" } = {}) {
    for (let pressed = 0; pressed < most; pressed += 1) {
        await page.keyboard.press(key);
        const label = await focused(page);
        if (typeof name === "string" ? label.trim() === name : name.test(label)) return;
    }
    assert.fail(`Tab does not reach ${name}`);
}

/** Lets the page draw nothing from now on: on a busy machine, keys are handled before the next frame. */
export const holdFrames = (page) => page.evaluate(() => { globalThis.requestAnimationFrame = () => 0; });
