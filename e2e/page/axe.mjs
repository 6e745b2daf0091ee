// Checks every state with axe-core, light and dark, desktop and 320 px: nothing serious or critical. Names as arguments limit it to those.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { DESKTOP, launch, openPage, PHONE } from "./lib/browser.mjs";
import { prepare, STATES } from "./states.mjs";

const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const wanted = process.argv.slice(2);
const browser = await launch();
let checked = 0;
let violations = 0;
for (const state of STATES.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.startsWith(part)))) {
    const { mock, url, show } = await prepare(state);
    const page = await openPage(browser, url, { reducedMotion: "reduce" });
    await show(page);
    await page.evaluate(axeSource);
    for (const colorScheme of ["light", "dark"]) {
        for (const [size, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
            await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
            await page.setViewportSize(viewport);
            const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"], rules: { "target-size": { enabled: true } } }));
            checked += 1;
            for (const { id, impact, nodes } of found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")) {
                violations += 1;
                console.log(`${state.name} ${size} ${colorScheme}: ${impact} ${id}`);
                for (const node of nodes.slice(0, 3)) console.log(`    ${node.target.join(" ")}  ${node.html.slice(0, 160)}  ${node.any[0]?.message ?? node.all[0]?.message ?? ""}`);
            }
        }
    }
    await page.context().close();
    await mock.stop().catch(() => {});
}
await browser.close();
console.log(`${checked} checks, ${violations} serious or critical violations`);
process.exitCode = violations > 0 ? 1 : 0;
