// A stand-in for the process behind the page: serves the page's files with the real headers, and speaks the messages of
// client/page/web/messages.d.ts over a WebSocket. Tests say what the state is and how requests are answered.

import { once } from "node:events";
import { createServer } from "node:http";
import { readFile, readdir } from "node:fs/promises";
import { WebSocketServer } from "ws";
import { WAIT_MS, within } from "./deadline.mjs";

const WEB = new URL("../../../client/page/web/", import.meta.url);
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml" };
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

export class Mock {
    /** Requests of the page, in order. */
    requests = [];
    /** Spooled files by path. */
    spooled = new Map();
    /** Answers by `do`: a function of the request that returns `ok`, or throws `{failure}`. */
    answers = {};
    /** Spools answer with this status. */
    spoolStatus = 200;
    previews = {};
    acceptsSecret = true;
    code = "one-time";
    event = 0;
    #sockets = new Set();
    #waiters = [];

    constructor(snapshot) {
        this.snapshot = snapshot;
    }

    async start(port = 0) {
        this.server = createServer((request, response) => void this.#serve(request, response));
        this.sockets = new WebSocketServer({ server: this.server, path: "/socket", handleProtocols: () => "quiver-page-1", perMessageDeflate: false });
        this.sockets.on("connection", (socket) => this.#connected(socket));
        await once(this.server.listen(port, "127.0.0.1"), "listening");
        this.port = this.server.address().port;
        this.origin = `http://127.0.0.1:${this.port}`;
        return this;
    }

    get url() {
        return `${this.origin}/#code=${this.code}`;
    }

    async #serve(request, response) {
        const { pathname, searchParams } = new URL(request.url, this.origin);
        const send = (status, type, body) => response.writeHead(status, { "Content-Type": type, "Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" }).end(body);
        if (pathname === "/session") {
            const body = JSON.parse(await text(request));
            return body.code === this.code ? send(200, "application/json", '{"secret":"secret"}') : send(401, "application/json", '{"code":"expired"}');
        }
        if (pathname === "/spool") {
            let size = 0;
            for await (const chunk of request) size += chunk.length;
            this.spooled.set(decodeURIComponent(request.headers["x-quiver-path"]), { size, drop: request.headers["x-quiver-drop"] });
            return send(this.spoolStatus, "application/json", this.spoolStatus === 200 ? JSON.stringify({ spooled: size }) : '{"code":"quota"}');
        }
        if (pathname === "/preview") {
            const found = this.previews[searchParams.get("path")];
            return found ? send(200, found.type, found.body) : send(415, "application/json", '{"code":"invalid_request","text":"neither text nor a picture"}');
        }
        const name = pathname === "/" ? "index.html" : pathname.slice(1);
        if (!/^[a-z]+\.(html|js|css|svg)$/.test(name)) return send(404, "text/plain", "");
        if (name === "index.html") {
            const scripts = (await readdir(WEB)).filter((file) => file.endsWith(".js"));
            response.setHeader("Link", scripts.map((file) => `</${file}>; rel=modulepreload`).join(", "));
        }
        return readFile(new URL(name, WEB)).then((content) => send(200, TYPES[name.split(".")[1]], content), () => send(404, "text/plain", ""));
    }

    #connected(socket) {
        socket.once("message", (hello) => {
            if (!this.acceptsSecret || JSON.parse(hello).secret !== "secret") return socket.close(4401);
            this.#sockets.add(socket);
            socket.on("close", () => this.#sockets.delete(socket));
            socket.on("message", (data) => void this.#answer(socket, JSON.parse(data)));
            socket.send(JSON.stringify({ event: this.event, kind: "snapshot", run: "run", snapshot: this.snapshot }));
        });
    }

    async #answer(socket, request) {
        this.requests.push(request);
        this.#waiters = this.#waiters.filter((waiter) => !waiter(request));
        const answer = this.answers[request.do];
        try {
            const ok = (await answer?.(request, this)) ?? {};
            socket.send(JSON.stringify({ id: request.id, ok }));
        } catch (error) {
            if (!error.failure) throw error;
            socket.send(JSON.stringify({ id: request.id, error: error.failure }));
        }
    }

    /** Sends an event to all pages. */
    send(kind, fields) {
        this.event += 1;
        for (const socket of this.#sockets) socket.send(JSON.stringify({ event: this.event, kind, ...fields }));
    }

    /** Leaves a number out, as if the page had missed an event. */
    skip() {
        this.event += 1;
    }

    cutOff() {
        for (const socket of this.#sockets) socket.terminate();
    }

    /** Resolves with the first request of this kind, also an earlier one. */
    request(what, test = () => true) {
        const matches = (request) => request.do === what && test(request);
        const found = this.requests.find(matches);
        if (found) return Promise.resolve(found);
        const next = new Promise((resolve) => this.#waiters.push((request) => matches(request) && (resolve(request), true)));
        return within(WAIT_MS, `the page requests "${what}"`, next, () => `; it requested: ${this.requests.map((request) => request.do).join(", ")}`);
    }

    async stop() {
        // Also those that have not said their secret yet: the server waits for all of them.
        for (const socket of this.sockets.clients) socket.terminate();
        this.server.closeAllConnections();
        await within(WAIT_MS, "the server of the page to close", new Promise((resolve) => this.server.close(resolve)));
    }
}

async function text(stream) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
}

export const failure = (code, message, more = {}) => ({ failure: { code, text: message, ...more } });
