// Checks every state with axe-core, light and dark, desktop and 320 px: nothing serious or critical. Names as arguments limit it to those.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { closeBrowser, closePage, DESKTOP, launch, openPage, PHONE } from "./lib/browser.mjs";
import { within } from "./lib/deadline.mjs";
import { prepare, STATES } from "./states.mjs";

/** So many states are checked at once, each in a page of its own. */
const PARALLEL = 3;
const DEADLINE_MS = 60_000;
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const wanted = process.argv.slice(2);
const waiting = STATES.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.startsWith(part)));
if (waiting.length === 0) throw new Error(`no state has a name that begins with ${wanted}`);
const states = waiting.length;
let checks = 0;
let violations = 0;

async function check(browser, state) {
    const { mock, url, show } = await prepare(state);
    const page = await openPage(browser, url, { reducedMotion: "reduce" });
    await show(page);
    await page.evaluate(axeSource);
    for (const colorScheme of ["light", "dark"]) {
        for (const [size, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
            await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
            await page.setViewportSize(viewport);
            const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }));
            checks += 1;
            for (const { id, impact, nodes } of found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")) {
                violations += 1;
                console.log(`${state.name} ${size} ${colorScheme}: ${impact} ${id}`);
                for (const node of nodes.slice(0, 3)) console.log(`    ${node.target.join(" ")}  ${node.html.slice(0, 160)}  ${node.any[0]?.message ?? node.all[0]?.message ?? ""}`);
            }
        }
    }
    await closePage(page);
    await mock.stop();
}

const browser = await launch();
try {
    await Promise.all(Array.from({ length: PARALLEL }, async () => {
        for (let state = waiting.shift(); state; state = waiting.shift()) {
            await within(DEADLINE_MS, "the checks", check(browser, state)).catch((error) => { throw new Error(`${state.name}: ${error.message}`, { cause: error }); });
        }
    }));
} finally {
    await closeBrowser(browser);
}
console.log(`${states} states, ${checks} checks, ${violations} serious or critical violations`);
process.exitCode = violations > 0 ? 1 : 0;
