// Takes a picture of every state, light and dark, desktop and phone, into shots/. Names as arguments limit it to those.

import { mkdir } from "node:fs/promises";
import { closeBrowser, closePage, DESKTOP, launch, openPage, PHONE } from "./lib/browser.mjs";
import { prepare, STATES } from "./states.mjs";

const wanted = process.argv.slice(2);
const folder = new URL("shots/", import.meta.url).pathname;
await mkdir(folder, { recursive: true });
const browser = await launch();
for (const state of STATES.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.startsWith(part)))) {
    for (const colorScheme of ["light", "dark"]) {
        const { mock, url, show } = await prepare(state);
        const page = await openPage(browser, url, { colorScheme, reducedMotion: "reduce" });
        try {
            await show(page);
            for (const [size, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
                await page.setViewportSize(viewport);
                await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
                await page.screenshot({ path: `${folder}${state.name}.${size}.${colorScheme}.png` });
            }
        } catch (error) {
            console.error(`${state.name}: ${error.message.split("\n")[0]}`);
            process.exitCode = 1;
        }
        for (const problem of page.problems) console.error(`${state.name}: ${problem}`);
        if (page.problems.length > 0) process.exitCode = 1;
        await closePage(page);
        await mock.stop();
    }
}
await closeBrowser(browser);
