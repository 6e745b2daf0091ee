// Types of the page, for the type check alone: neither file of types is served.

import type * as M from "./messages";
import type { PATHS } from "./icons.js";
import type { SourceError as Thrown } from "./source.js";
import type { TEXTS } from "./texts.js";

declare global {
    // The messages, by their names.
    type Snapshot = M.Snapshot;
    type PageEvent = M.Event;
    type Failure = M.Failure;
    type Person = M.Person;
    type PathDetail = M.PathDetail;
    type Message = M.Message;
    type Entry = M.Entry;
    type LocalEntry = M.LocalEntry;
    type IncomingOffer = M.IncomingOffer;
    type OutgoingOffer = M.OutgoingOffer;
    type Transfer = M.Transfer;
    type TransferFile = M.TransferFile;
    type Question = M.Question;
    type Answer = M.Answer;
    type OnConflict = M.OnConflict;
    type Reply = M.Reply;
    type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;
    /** A request before it has its number. */
    type Wish = WithoutId<M.Request>;

    // Elements.
    type IconName = keyof typeof PATHS;
    type TextKey = keyof typeof TEXTS;
    interface Props {
        key?: string | number;
        /** Called once the element is in the document, and before it leaves. */
        mount?: (element: any) => void;
        unmount?: (element: any) => void;
        style?: Record<string, string>;
        onclick?: (event: MouseEvent & { currentTarget: HTMLElement }) => unknown;
        oninput?: (event: { target: any }) => unknown;
        onchange?: (event: { target: any }) => unknown;
        onsubmit?: (event: Event) => unknown;
        onkeydown?: ((event: KeyboardEvent & { target: HTMLElement; currentTarget: HTMLElement }) => unknown) | null;
        onfocusin?: (event: FocusEvent & { target: HTMLElement }) => unknown;
        onscroll?: (event: Event) => unknown;
        oncancel?: (event: Event) => unknown;
        ontoggle?: (event: ToggleEvent) => unknown;
        ondragover?: (event: DragEvent) => unknown;
        ondragleave?: (event: DragEvent) => unknown;
        ondrop?: (event: DragEvent) => unknown;
        [attribute: string]: any;
    }
    interface Description { tag: string; key: string; props: Props; children: Child[] }
    type Child = Description | string;
    type Loose = Child | number | null | undefined | false | "" | Loose[];

    /** Something a person can do: drawn as a button or as an entry of a menu. */
    interface Action {
        text: string;
        icon?: IconName;
        /** Without it, there is only its command. */
        act?: () => unknown;
        /** The command that does the same. */
        command?: string;
        isDanger?: boolean;
        /** Classes of its button. */
        kind?: string;
        /** Asked before. */
        ask?: Loose;
    }
    /** `cancel` is what Escape and the button that closes it do. With `submit`, its content is a form. */
    interface Dialog {
        key: string; label: string; draw: () => Loose; cancel: () => unknown; kind?: string; submit?: () => unknown;
    }
    interface Note { key: number; text: string; kind: "" | "good" | "bad"; action: Action | null }
    /** One of the list of people. */
    interface Row { who: string; person: Person | undefined }
    type Column = "name" | "size" | "modified";
    type TransferFilter = "all" | "active" | "failed" | "unfinished" | "done";
    interface RowOptions {
        label: string;
        isGrid?: boolean;
        rowHeight: number;
        /** Whether several rows of a grid can be chosen. */
        isSeveral?: boolean;
        onKey?: (event: KeyboardEvent & { target: HTMLElement }, index: number) => unknown;
    }
    type Values = Record<string, Loose>;
    interface Route { view: string; rest: string }

    type SourceError = Thrown;

    // Data.
    /**
     * "live": events arrive. "connecting": the first attempt. "lost": cut off, tries again at `retryAt`. "behind": an event is missing, a
     * snapshot is fetched. "refused": the secret is not valid. "no_code": the page was opened without a code.
     */
    interface Link { state: "connecting" | "live" | "lost" | "refused" | "no_code"; retryAt: number }
    /** Where the views' data comes from. */
    interface Source {
        start(onEvent: (event: PageEvent) => void, onLink: (link: Link) => void): void;
        /** Resolves with the reply's `ok`, rejects with a `SourceError`. */
        request(wish: Wish): Promise<any>;
        /** Fetches a snapshot after a gap. */
        resync(): void;
        retryNow(): void;
        spool(drop: string, path: string, content: File, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<void>;
        preview(path: string, signal: AbortSignal): Promise<Blob>;
    }
    /** A page of the files of a transfer. */
    interface Details { files: TransferFile[]; more: boolean; isLoading: boolean }
    interface Conversed { messages: Message[]; more: boolean; loaded: boolean }
    interface Sample { at: number; rate: number }
    type Handlers = { [K in Exclude<PageEvent["kind"], "snapshot">]: (event: Extract<PageEvent, { kind: K }>, now: Snapshot) => unknown };
    /** What views may react to besides being drawn again. */
    type Happening =
        | { kind: "joined" | "left"; name: string }
        | { kind: "message"; message: Message }
        | { kind: "offer"; offer: IncomingOffer }
        | { kind: "notice"; code: string; text: string }
        | { kind: "folder"; folder: string }
        | { kind: "ended"; transfer: Transfer }
        | { kind: "fresh" };

    /** `both`: files and folders, several. */
    interface ChooserOptions {
        kind: "files" | "file" | "folder" | "both";
        title: string;
        explanation: string;
        action: string | ((chosen: Chosen) => string);
        start?: string;
        command?: (chosen: Chosen) => string;
    }
    interface Chosen { paths: string[]; hasFolder: boolean }

    /** "reading": folders are walked. "copying": files are handed over. "starting": the client begins. "done": it has begun. */
    interface Drop {
        drop: string;
        target: { folder: string } | { person: string };
        state: "reading" | "copying" | "starting" | "done" | "failed" | "cancelled";
        copied: number; copiedBytes: number;
        unreadable: { path: string; why: string }[];
        failure: Failure | null;
        found: { path: string; file: File }[];
        abort: AbortController;
    }

    interface Commands {
        connect: (form: { server: string; name: string; certificate: string }) => string;
        status: () => string;
        list: (folder: string) => string;
        get: (list: Entry[], folder: string) => string;
        put: (to: string, { paths, hasFolder }: Chosen) => string;
        makeFolder: (folder: string) => string;
        rename: (from: string, to: string) => string;
        remove: (list: Entry[]) => string;
        say: (to: string, text: string) => string;
        send: (name: string, paths: string[]) => string;
        accept: (offer: number, folder: string) => string;
        decline: (offer: number) => string;
        withdraw: (offer: number) => string;
        alwaysAccept: (name: string, folder: string) => string;
        steer: (what: Transfer["can"][number], transfer: Transfer) => string;
        about: (command: "verify" | "path" | "contacts forget" | "contacts block" | "contacts unblock", name: string) => string;
    }

    interface Format {
        number: (value: number) => string;
        bytes: (value: number) => string;
        rate: (perSecond: number) => string;
        percent: (value: number, of: number | null) => string;
        /** Two units at most: "3 min 20 sec". */
        duration: (seconds: number) => string;
        clock: (at: string) => string;
        fullTime: (at: string) => string;
        /** Time of day, with the day where it is not today. */
        time: (at: string) => string;
        day: (at: string) => string;
        /** Compares names as people sort them: a2 before a10. */
        compareNames: (left: string, right: string) => number;
    }
}
