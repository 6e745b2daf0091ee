// Measures the page in Chromium: its first paint, how soon it answers a click beside a get that uses all it can, and the rate
// of that get in three turns: without a page, with a page's connection that draws nothing, and with the page open in Chromium.
//   scripts/bench --page [--quick] [--rounds N] [--size MIB] [--check]

import { randomFillSync } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, watch, writeSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import WebSocket from "ws";
import { launch, openPage } from "./lib/browser.mjs";
import { World } from "./lib/programs.mjs";
import { signIn } from "./lib/steps.mjs";

const { values } = parseArgs({ options: { quick: { type: "boolean" }, rounds: { type: "string" }, size: { type: "string" }, check: { type: "boolean" } } });
const ROUNDS = Number(values.rounds ?? (values.quick ? 3 : 10));
/** Long gets, because a page that has just opened keeps Chromium busy for a moment. Two copies are in memory. */
const MIB = Number(values.size ?? (values.quick ? 256 : 3072));
if (!(Number.isInteger(ROUNDS) && ROUNDS > 0 && Number.isInteger(MIB) && MIB > 0)) throw new Error("--rounds and --size take whole numbers above 0");
const CLICKS = values.quick ? 20 : 60;
const DEADLINE_MS = 120_000;
/** The kernel counts processor time in this unit. */
const TICKS_A_SECOND = 100;
const NAME = "large.bin";

const sorted = (figures) => [...figures].sort((left, right) => left - right);
const quantile = (figures, part) => sorted(figures)[Math.min(figures.length - 1, Math.floor(part * figures.length))];
const median = (figures) => quantile(figures, 0.5);
/** Half of the distance between the quartiles, as a part of the median. */
const noise = (figures) => (quantile(figures, 0.75) - quantile(figures, 0.25)) / 2 / median(figures);

/** A page's connection without a browser: it starts gets, and reads all events. */
class Connection {
    #nextId = 1;
    #waiting = new Map();

    static async open(port, secret) {
        const connection = new Connection();
        const origin = `http://127.0.0.1:${port}`;
        connection.socket = new WebSocket(`${origin.replace("http", "ws")}/socket`, "quiver-page-1", { origin, perMessageDeflate: false });
        await new Promise((resolve, reject) => {
            connection.socket.once("open", () => connection.socket.send(JSON.stringify({ secret, after: 0 })));
            connection.socket.once("message", resolve);
            connection.socket.once("close", () => reject(new Error("the page's process has closed the connection")));
        });
        connection.socket.on("message", (data) => {
            const message = JSON.parse(data);
            const waiting = connection.#waiting.get(message.id);
            connection.#waiting.delete(message.id);
            if (message.error) waiting?.reject(new Error(JSON.stringify(message.error)));
            else waiting?.resolve(message.ok);
        });
        return connection;
    }

    request(wish) {
        const id = this.#nextId++;
        return new Promise((resolve, reject) => {
            this.#waiting.set(id, { resolve, reject });
            this.socket.send(JSON.stringify({ id, ...wish }));
        });
    }

    close() {
        return new Promise((resolve) => {
            this.socket.once("close", resolve);
            this.socket.close();
        });
    }
}

/** Fills a file, so that no hole of a sparse file is read. */
function fill(path, mib) {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(path, "w");
    const block = Buffer.alloc(1024 * 1024);
    for (let written = 0; written < mib; written += 1) writeSync(file, randomFillSync(block));
    closeSync(file);
}

/** Resolves once a file has its final name. */
function appears(path) {
    const folder = dirname(path);
    return new Promise((resolve, reject) => {
        const watcher = watch(folder);
        const end = (act) => {
            clearTimeout(timer);
            watcher.close();
            act();
        };
        const timer = setTimeout(() => end(() => reject(new Error(`${path} did not appear`))), DEADLINE_MS);
        watcher.on("change", () => existsSync(path) && end(resolve));
        watcher.on("error", (error) => end(() => reject(error)));
    });
}

/** Processor seconds of all processes of the browser, which are descendants of this one. */
function browserProcessor() {
    const processes = new Map();
    for (const id of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
        try {
            const stat = readFileSync(`/proc/${id}/stat`, "utf8");
            const end = stat.lastIndexOf(")");
            const fields = stat.slice(end + 2).split(" ");
            processes.set(Number(id), { parent: Number(fields[1]), name: stat.slice(stat.indexOf("(") + 1, end), ticks: Number(fields[11]) + Number(fields[12]) });
        } catch {
            // It has ended.
        }
    }
    const isOurs = (id) => id === process.pid || (processes.has(id) && isOurs(processes.get(id).parent));
    const browsers = [...processes].filter(([id, { name }]) => /chrom/.test(name) && isOurs(id));
    if (browsers.length === 0) throw new Error("no process of the browser is found");
    return browsers.reduce((sum, [, { ticks }]) => sum + ticks, 0) / TICKS_A_SECOND;
}

const world = new World("/dev/shm");
const browser = await launch();
try {
    await world.startServer();
    fill(join(world.files, NAME), MIB);
    const program = await world.startPage("Ron");
    const target = join(program.home, "Downloads", NAME);
    const first = await openPage(browser, program.link);
    await signIn(first, world, "Ron");
    const secret = await first.evaluate(() => sessionStorage.getItem("quiver-secret"));

    const get = async (connection) => {
        rmSync(target, { force: true });
        const there = appears(target);
        const { transfer } = await connection.request({ do: "get", paths: [NAME], on_conflict: "replace" });
        return { transfer, there };
    };

    // First paint: a new context for each, so that nothing is in a cache.
    const paints = [];
    const ready = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
        const page = await openPage(browser, await world.anotherLink(program));
        await page.getByRole("row", { name: NAME }).waitFor();
        const shown = await page.evaluate(() => performance.now());
        const [paint] = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint").map(({ startTime }) => startTime));
        if (round > 0) {
            paints.push(paint);
            ready.push(shown);
        }
        await page.context().close();
    }

    // Clicks, while one get follows the other.
    const connection = await Connection.open(program.port, secret);
    let isClicking = true;
    const gets = (async () => {
        while (isClicking) {
            const { transfer, there } = await get(connection);
            await there;
            await connection.request({ do: "remove_transfer", transfer }).catch(() => {});
        }
    })();
    await first.evaluate(() => {
        globalThis.interactions = new Map();
        new PerformanceObserver((list) => {
            for (const { interactionId, duration } of list.getEntries()) {
                if (interactionId) globalThis.interactions.set(interactionId, Math.max(duration, globalThis.interactions.get(interactionId) ?? 0));
            }
        }).observe({ type: "event", durationThreshold: 16 });
    });
    const clicks = [() => first.getByRole("link", { name: /^Transfers/ }).click(), () => first.getByRole("link", { name: /^People/ }).click(),
        () => first.getByRole("link", { name: /^Files/ }).click(), () => first.getByRole("checkbox", { name: "Select all" }).click()];
    for (let click = 0; click < CLICKS; click += 1) await clicks[click % clicks.length]();
    isClicking = false;
    await gets;
    const measured = await first.evaluate(() => [...globalThis.interactions.values()]);
    // The browser names no event that took less than 16 ms.
    const interactions = [...measured, ...Array.from({ length: Math.max(0, CLICKS - measured.length) }, () => 16)];
    await first.context().close();
    await connection.close();

    // The rate, in turns.
    const TURNS = ["no page", "a connection", "Chromium"];
    const seconds = TURNS.map(() => []);
    const processor = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
        for (const [at, turn] of TURNS.entries()) {
            let page;
            if (turn === "Chromium") {
                page = await openPage(browser, await world.anotherLink(program));
                await page.getByRole("link", { name: /^Transfers/ }).click();
                await page.getByRole("heading", { name: "Transfers", exact: true }).waitFor();
                // What the browser does to open the page is not part of the turn.
                await page.evaluate(() => new Promise((resolve) => requestIdleCallback(() => requestIdleCallback(resolve))));
            }
            const starter = await Connection.open(program.port, secret);
            const before = browserProcessor();
            const started = performance.now();
            const { transfer, there } = await get(starter);
            if (turn !== "a connection") await starter.close();
            await there;
            const duration = (performance.now() - started) / 1000;
            if (round > 0) {
                seconds[at].push(duration);
                if (page) processor.push((browserProcessor() - before) / duration);
            }
            const cleaner = turn === "a connection" ? starter : await Connection.open(program.port, secret);
            // The transfer ends a moment after its file has its name.
            for (const end = performance.now() + DEADLINE_MS; performance.now() < end;) {
                if (await cleaner.request({ do: "remove_transfer", transfer }).then(() => true, () => false)) break;
            }
            await cleaner.close();
            await page?.context().close();
        }
    }

    const rate = (figures) => (MIB * 1.048576) / median(figures);
    console.log(`\n${cpus().length} processors (${cpus()[0].model}), ${ROUNDS} rounds, ${MIB} MiB, ${CLICKS} clicks, Chromium ${browser.version()}, drawing without a graphics processor\n`);
    console.log(`first paint:  median ${median(paints).toFixed(0)} ms, slowest ${Math.max(...paints).toFixed(0)} ms; the files are listed after ${median(ready).toFixed(0)} ms`);
    console.log(`interaction:  median ${median(interactions).toFixed(0)} ms, 95 % within ${quantile(interactions, 0.95).toFixed(0)} ms, slowest ${Math.max(...interactions).toFixed(0)} ms, beside a get`);
    const base = seconds[0];
    for (const [at, turn] of TURNS.entries()) {
        const slower = median(seconds[at]) / median(base) - 1;
        console.log(`get, ${`${turn}:`.padEnd(14)} ${rate(seconds[at]).toFixed(0)} MB/s, noise ±${(100 * noise(seconds[at])).toFixed(1)} %${at > 0 ? `, ${(100 * slower).toFixed(1)} % slower than without a page` : ""}`);
    }
    console.log(`Chromium itself: ${median(processor).toFixed(2)} processors during a get`);

    const tolerance = Math.max(...seconds.map(noise));
    const goals = [
        ["first paint, median", median(paints), 200, " ms"],
        ["interaction beside a get, 95 %", quantile(interactions, 0.95), 100, " ms"],
        ["get beside a page's connection, slower beyond noise", 100 * (median(seconds[1]) / median(base) - 1 - tolerance), 3, " %"],
        ["get beside Chromium on the same processors, slower beyond noise", 100 * (median(seconds[2]) / median(base) - 1 - tolerance), 3, " %"],
    ];
    console.log("\ngoals");
    for (const [name, reached, most, unit] of goals) console.log(`  ${name}: at most ${most}${unit}, ${Math.max(0, reached).toFixed(1)}${unit}: ${reached <= most ? "reached" : "missed"}`);
    if (values.check && goals.some(([, reached, most]) => reached > most)) process.exitCode = 1;
} finally {
    await browser.close();
    await world.end();
}
