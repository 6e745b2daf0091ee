// Debian's Chromium, driven by playwright-core; pages that report what a page must never do.

import { chromium } from "playwright-core";
import { WAIT_MS, within } from "./deadline.mjs";

const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
export const DESKTOP = { width: 1280, height: 860 };
export const PHONE = { width: 320, height: 640 };

export async function launch() {
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ARGS, timeout: WAIT_MS });
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await within(WAIT_MS, "the browser's processes", session.send("SystemInfo.getProcessInfo"));
    browser.processId = processInfo.find(({ type }) => type === "browser").id;
    return browser;
}

/** Closes the browser. One that does not close is killed, and that is an error. */
export async function closeBrowser(browser) {
    await within(WAIT_MS, "the browser to close", browser.close()).catch((error) => {
        // It leads a process group of its own.
        process.kill(-browser.processId, "SIGKILL");
        throw error;
    });
}

/** A page in a context of its own. `problems` collects exceptions, console errors and violated policies. */
export async function openPage(browser, url, { viewport = DESKTOP, colorScheme = "light", permissions = ["clipboard-read", "clipboard-write"], locale = "en-GB", ...more } = {}) {
    const context = await within(WAIT_MS, "a browser context", browser.newContext({ viewport, colorScheme, permissions, locale, timezoneId: "UTC", ...more }));
    try {
        const page = await within(WAIT_MS, "a tab", context.newPage());
        page.problems = [];
        page.on("pageerror", (error) => page.problems.push(error.stack ?? String(error)));
        page.on("console", (message) => {
            const isExpected = /WebSocket connection|Failed to load resource/.test(message.text());
            if (message.type() === "error" && !isExpected) page.problems.push(message.text());
        });
        page.setDefaultTimeout(WAIT_MS);
        await page.goto(url);
        return page;
    } catch (error) {
        await within(WAIT_MS, "the tab to close", context.close()).catch(() => {});
        throw error;
    }
}

/** Closes the page and its context. */
export const closePage = (page) => within(WAIT_MS, "the tab to close", page.context().close());
