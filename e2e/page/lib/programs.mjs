// The real programs behind the page: `quiver-server`, `quiver gui`, and further clients, each with folders of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { within } from "./deadline.mjs";

const PROGRAMS = process.env.QUIVER_PROGRAMS ?? new URL("../../../target/debug/", import.meta.url).pathname;
const DEADLINE_MS = 30_000;

/** A running program, with the lines that it printed. */
export class Program {
    lines = [];
    #changed = [];
    #exited;

    constructor(name, args, { home, environment = {} }) {
        this.name = `${name} ${args.join(" ")}`;
        this.process = spawn(join(PROGRAMS, name), args, { cwd: home, stdio: ["pipe", "pipe", "pipe"], env: {
            PATH: process.env.PATH, HOME: home, TERM: "dumb", XDG_STATE_HOME: join(home, "state"), XDG_CONFIG_HOME: join(home, "config"),
            XDG_DATA_HOME: join(home, "data"), XDG_CACHE_HOME: join(home, "cache"), XDG_RUNTIME_DIR: join(home, "run"), ...environment } });
        this.#exited = once(this.process, "exit").then(([code, signal]) => signal ?? code);
        this.#exited.catch(() => {}).finally(() => { this.isOver = true; this.#tell(); });
        for (const stream of [this.process.stdout, this.process.stderr]) {
            createInterface(stream).on("line", (line) => {
                this.lines.push(line);
                this.#tell();
            });
        }
    }

    get id() {
        return this.process.pid;
    }

    get text() {
        return this.lines.join("\n");
    }

    #tell() {
        for (const call of this.#changed.splice(0)) call();
    }

    /** The first match in what it has printed, also earlier. */
    async wait(pattern) {
        const end = AbortSignal.timeout(DEADLINE_MS);
        for (;;) {
            const found = this.text.match(pattern);
            if (found) return found;
            if (this.isOver) throw new Error(`${this.name} ended without ${pattern}:\n${this.text}`);
            await new Promise((resolve, reject) => {
                this.#changed.push(resolve);
                end.addEventListener("abort", () => reject(new Error(`${this.name} did not print ${pattern}:\n${this.text}`)), { once: true });
            });
        }
    }

    type(line) {
        this.process.stdin.write(`${line}\n`);
    }

    /** Waits for its exit, and returns its exit code or the signal that ended it. */
    exit() {
        return within(DEADLINE_MS, `${this.name} to exit`, this.#exited, () => `; it printed:\n${this.text}`);
    }

    /** Ends it as Ctrl-C does, and waits for its exit. One that does not exit is killed, and that is an error. */
    async stop(signal = "SIGINT") {
        if (!this.isOver) this.process.kill(signal);
        return this.exit().catch((error) => {
            this.process.kill("SIGKILL");
            throw error;
        });
    }
}

/** A server and its clients, in a temporary folder that `end` removes. */
export class World {
    #programs = [];

    constructor(parent = tmpdir()) {
        this.folder = mkdtempSync(join(parent, "quiver-page-"));
        this.files = join(this.folder, "server/files");
        mkdirSync(this.files, { recursive: true });
    }

    #start(name, args, options) {
        const program = new Program(name, args, options);
        this.#programs.push(program);
        return program;
    }

    /** Starts the server; after the first time at the same address, with the same key if its folder still has one. */
    async startServer(maxClients = 6) {
        const home = join(this.folder, "server");
        this.server = this.#start("quiver-server", ["--listen", this.address ?? "127.0.0.1:0", "--files", "files", "--certs", "certs", "--state", "state",
            "--allow-upload", "--max-clients", String(maxClients), "--keep-free", "0"], { home });
        this.fingerprint = (await this.server.wait(/fingerprint ([0-9a-f]{64})/))[1];
        this.address = (await this.server.wait(/listening on (\S+:\d+)/))[1].replace(/"$/, "");
        this.certificate = join(home, "certs/server.pem");
        return this.server;
    }

    /** A file of the server; a number is its size. */
    addFile(path, content) {
        return write(join(this.files, path), content);
    }

    home(name) {
        const home = join(this.folder, `home-${name}`);
        for (const folder of ["state", "config", "data", "cache", "Downloads"]) mkdirSync(join(home, folder), { recursive: true });
        mkdirSync(join(home, "run"), { recursive: true, mode: 0o700 });
        return home;
    }

    /** Starts `quiver gui`; `link` opens a page once. */
    async startPage(name = "Ron", ...more) {
        const home = this.home(name);
        const program = this.#start("quiver", ["gui", "--no-open", ...more], { home });
        const [link, port] = await program.wait(/http:\/\/127\.0\.0\.1:(\d+)\/#code=\S+/);
        return Object.assign(program, { home, link, port: Number(port) });
    }

    /** A client with arguments, after its server and name. */
    client(name, ...args) {
        const home = this.home(name);
        return Object.assign(this.#start("quiver", ["--server", this.address, "--cert", this.certificate, "--name", name, ...args], { home }), { home });
    }

    /** Runs a client to its end, and returns what it printed. */
    async run(name, ...args) {
        const client = this.client(name, ...args);
        client.process.stdin.end();
        const code = await client.exit();
        return { code, text: client.text };
    }

    /** Another link to a running page. */
    async anotherLink(page) {
        const program = this.#start("quiver", ["gui", "--no-open"], { home: page.home });
        const [link] = await program.wait(/http:\/\/127\.0\.0\.1:\d+\/#code=\S+/);
        await program.exit();
        return link;
    }

    async end() {
        const failures = [];
        for (const program of this.#programs.reverse()) await program.stop().catch((error) => failures.push(error));
        rmSync(this.folder, { recursive: true, force: true });
        if (failures.length > 0) throw failures[0];
    }
}

/** Writes a file; a number is the size of an empty one. */
export function write(path, content) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === "number" ? "" : content);
    if (typeof content === "number") truncateSync(path, content);
    return path;
}

/** The addresses that a process listens at, by TCP. */
export function listensAt(id) {
    const sockets = new Set(readdirSync(`/proc/${id}/fd`).flatMap((fd) => {
        try {
            return [readlinkSync(`/proc/${id}/fd/${fd}`)];
        } catch {
            return [];
        }
    }));
    return ["tcp", "tcp6"].flatMap((table) => readFileSync(`/proc/${id}/net/${table}`, "utf8").split("\n").slice(1).map((line) => line.trim().split(/\s+/))
        .filter(([, , , state, , , , , , inode]) => state === "0A" && sockets.has(`socket:[${inode}]`)).map(([, address]) => address.split(":")[0]));
}
