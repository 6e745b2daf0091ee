// Debian's Chromium, driven by playwright-core; pages that report what a page must never do.

import { chromium } from "playwright-core";

const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
export const DESKTOP = { width: 1280, height: 860 };
export const PHONE = { width: 320, height: 640 };

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ARGS });

/** A page in a context of its own. `problems` collects exceptions, console errors and violated policies. */
export async function openPage(browser, url, { viewport = DESKTOP, colorScheme = "light", permissions = ["clipboard-read", "clipboard-write"], locale = "en-GB", ...more } = {}) {
    const context = await browser.newContext({ viewport, colorScheme, permissions, locale, timezoneId: "UTC", ...more });
    const page = await context.newPage();
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(error.stack ?? String(error)));
    page.on("console", (message) => {
        const isExpected = /WebSocket connection|Failed to load resource/.test(message.text());
        if (message.type() === "error" && !isExpected) page.problems.push(message.text());
    });
    page.setDefaultTimeout(10_000);
    await page.goto(url);
    return page;
}
