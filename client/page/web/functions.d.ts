// Types of the page's functions by their names, for the type check alone: a function says `@type {F.name}`. Not served.

declare namespace F {
    /** The address of a place in the page. */
    type address = (view: string, rest?: string) => string;
    type go = (view: string, rest?: string) => void;
    /** Says something to screen readers, at most every five seconds. */
    type announce = (text: string) => void;
    /** A short text for everybody: shown, and said by a screen reader. */
    type note = (text: string, kind?: Note["kind"], action?: Action | null) => void;
    type noteFailure = (thrown: any) => void;
    /** Sends a request. Its failure is shown as a note, and it resolves with undefined then. */
    type run = (wish: Wish) => Promise<any>;
    /** The replies to a request for a list, page by page. */
    type pages = (wish: { do: "list" | "list_local"; folder: string }) => AsyncGenerator<any>;
    /** Opens a dialog and returns what closes it. */
    type openDialog = (label: string, draw: () => Loose, options?: Partial<Dialog>) => () => void;
    type copy = (text: string) => Promise<void>;
    /** Resolves with what was chosen, or null. */
    type chooseFolder = (title: string, start: string, act: (folder: string) => unknown,
        command?: (folder: string) => string, explanation?: string) => Promise<void>;
    type choose = (given: ChooserOptions) => Promise<Chosen | null>;
    type quote = (word: string) => string;
    type path = (word: string) => string;
    /** An option, where it has a value. */
    type option = (flag: string, value: string | null) => string[];
    /** The options that name the server and the client. */
    type sign = (connection: { server: string | null; name: string | null }) => string[];
    type quiver = (...words: string[]) => string;
    /** Loads the latest messages, or those before. */
    type load = (who: string) => Promise<void>;
    type overLimit = (text: string) => number;
    type drawMessage = (message: Message, before: Message | undefined, props: Props) => Description;
    type drawComposer = (who: string, person: Person | undefined) => Description;
    /**
     * Describes an element: `h("tag.class", props, ...children)`, or without props. Without a tag it is a div. Props are
     * attributes, `on...` handlers, `key` among the siblings, `style`, `mount` and `unmount`.
     */
    type h = (selector: string, first?: Props | Loose, ...rest: Loose[]) => Description;
    /** Gives keys by the place. */
    type flatten = (from: Loose[], into?: Child[], place?: string) => Child[];
    /** Brings the content of an element to what is described. */
    type render = (parent: Element, children: Loose[]) => void;
    type create = (description: Description) => HTMLElement | SVGElement;
    type keyOf = (node: Node | null) => string | null;
    type patchChildren = (parent: Element, children: Child[]) => void;
    /** Returns the next one. */
    type removeDom = (node: ChildNode) => ChildNode | null;
    type unmount = (element: Element) => void;
    type patchProps = (element: Element, before: Props, after: Props) => void;
    type setProp = (element: any, name: string, before: any, value: any) => void;
    type within = (child: string) => string;
    type actionsFor = (list: Entry[]) => [Action, Action, Action | false];
    type getFiles = (list: Entry[], to?: string) => Promise<void>;
    type upload = (kind: "files" | "folder") => Promise<void>;
    type open = (entry: Entry) => Promise<void> | undefined;
    type select = (entry: Entry, to: boolean) => boolean | Map<string, Entry>;
    type onDrag = (event: DragEvent, isOver: boolean) => void;
    /** Takes files that are pasted. */
    type paste = (event: ClipboardEvent) => void;
    type drawBar = (list: Entry[]) => Description;
    type drawRow = (entry: Entry, props: Props, index: number) => Description;
    type withUnit = (value: number, unit: string, digits: number, unitDisplay?: "short" | "long") => string;
    type scaled = (value: number, suffix: string) => string;
    type formatted = (key: string, options: Intl.DateTimeFormatOptions, date: Date) => string;
    type isSameDay = (left: Date, right: Date) => boolean;
    type icon = (name: IconName, kind?: string) => Description;
    /** Tells the person, if the tab is in the background and they have allowed it. */
    type notify = (title: string, body: string, act: () => void) => void;
    type newest = (left: { at: string }, right: { at: string }) => -1 | 1;
    type isOpen = ({ state }: { state: string }) => boolean;
    type drawHead = (offer: IncomingOffer | OutgoingOffer, iconName: IconName, title: Loose, tools: Loose) => Description[];
    type drawIncoming = (offer: IncomingOffer) => Description;
    type drawOutgoing = (offer: OutgoingOffer) => Description;
    type drawPast = (offer: IncomingOffer | OutgoingOffer) => Description;
    type button = (text: string, act: () => unknown, { icon: iconName, class: kind,
        ...props }?: Props & { icon?: IconName }) => Description;
    /** A button that shows only an icon; its text is its name and its tip. */
    type iconButton = (text: string, iconName: IconName, onclick: Props["onclick"], { class: kind, ...props }?: Props) => Description;
    /** What its button does. */
    type start = (action: Action) => () => unknown;
    type actionButton = (action: Action, kind?: string) => Description;
    /** A button that opens a menu. The commands of the actions are its last entry. */
    type menuButton = (label: string, actions: () => (Action | false)[], props?: Props) => Description;
    /** What can be done with a transfer now, the main ones first. */
    type actionsOf = (transfer: Transfer) => (Action & { icon: IconName })[];
    type empty = (iconName: IconName, title: string, text?: Loose, ...actions: Loose[]) => Description;
    type viewHead = (title: TextKey, ...more: Loose[]) => Description;
    /** The way on after a failure. */
    type retryButton = (act: () => unknown) => Description;
    /** A handler instead of what the browser would do. */
    type instead = (act?: () => unknown) => (event: Event) => unknown;
    type box = (iconName: IconName, content: Loose, actions?: Loose, kind?: string) => Description;
    /** A failure in its place: what failed, what to do, the detail. */
    type failureBox = (failure: Failure, actions?: Loose) => Description;
    /** The text of a failure, where it says more than its title. */
    type failureDetail = (failure: Failure) => "" | false | Description;
    /** A time, with the full date as its tip. */
    type when = (at: string | null) => "" | Description | null;
    /** Terms and what they are. */
    type facts = (rows: [string, Loose][]) => Description;
    /** The command that does the same, to be copied. */
    type commandButton = (command: string, props?: Props) => Description;
    type showCommands = (actions: Action[]) => void;
    type commandLine = (command: string) => Description;
    /** Asks before something that cannot be undone. */
    type confirm = (given: Action) => void;
    /** A row in a grid of files. */
    type entryRow = (entry: Entry | LocalEntry, props: Props, row: {
        kind?: string; isChosen: boolean; isOff?: boolean; act: (event: MouseEvent) => unknown; open: () => unknown;
    }, more?: Loose, tools?: Loose) => Description;
    /** A text field with its label. */
    type field = (label: string, props: Props, hint?: string) => Description;
    type search = (label: string, value: string, change: (value: string) => void) => Description;
    /** Asks for the name of a file or folder. */
    type askName = (title: string, value: string, act: (name: string) => Promise<unknown>, command: (name: string) => string) => void;
    /** What has arrived, and how much of it is verified. */
    type bar = (label: string, verified: number, received: number, total: number | null, kind?: string) => Description;
    /** The name of someone, or of the server. */
    type titleOf = (who: string) => string;
    /** The one of this name who is here, else the last who was. */
    type personOf = (who: string) => Person | undefined;
    type canSendTo = (person: Person | undefined) => boolean;
    type verify = (who: string) => Promise<void>;
    /** Clears a conversation, or all. */
    type clearAction = (who?: string) => Action;
    /** What can be done with a person, or with the server. */
    type personMenu = (who: string, person: Person | undefined) => Description;
    type contact = (what: "block" | "forget", wish: Wish) => Action;
    type drawRowPeople = (given: Row, props: Props) => Description;
    type avatar = (who: string, person: Person | undefined) => Description;
    type keyTag = (person: Person | undefined) => false | Description;
    /** Since when someone is here, and how to reach them. */
    type presence = (person: Person | undefined) => string | (string | Description | null)[];
    /** The next "round" number: 1, 2 or 5 times a power of ten. */
    type roundUp = (value: number) => number;
    type plot = (samples: Sample[]) => Description;
    type preview = (entry: Entry, get: Action) => void;
    type reply = (given: Question, answer: Answer) => Promise<void>;
    type isEntry = (question: Question) => boolean;
    /** The keys of a person or server: the one shown now, and the known ones. */
    type drawKeys = (presented: string | undefined, known: string[]) => Description;
    /** The title, the text, and the answers: the last one is the main one. */
    type confirmKey = (key: "machine" | "digits" | "more" | "direct") => [string, Answer][];
    type decide = (decision: "replace" | "keep_both" | "skip", kind?: string) => [string, Answer, string?];
    type parts = (question: Question) => [string, Loose, [string, Answer, string?][]];
    type safe = (text: string) => string;
    /** The same, but with line breaks and tabs left in, for messages and previews. */
    type safeLines = (text: string) => string;
    /** A name of a file or person, isolated from the direction of the text around it. */
    type name = (text: string | null) => Description;
    type strongName = (text: string | null) => Description;
    type setting = (title: string, text: Loose, control: Loose, tag?: string) => Description;
    type drawAlone = (iconName: IconName, text: "refused" | "no_code" | "link_none" | "stopping", ...more: Loose[]) => Description;
    type drawDialog = (dialog: Dialog | null) => Description | null;
    type drawFailure = (failure: Failure) => Loose;
    type error = (code: Failure["code"], text: string) => SourceError;
    type failureOf = (thrown: any) => Failure;
    type errorOf = (status: number, body: string) => SourceError;
    /** Takes what a drop or paste has. To be called in its event: the browser empties the list afterwards. */
    type take = (data: DataTransfer | null, target: Drop["target"]) => void;
    type work = (drop: Drop, entries: FileSystemEntry[]) => Promise<void>;
    type walk = (drop: Drop, entries: FileSystemEntry[]) => Promise<void>;
    type children = (folder: FileSystemDirectoryEntry) => Promise<FileSystemEntry[]>;
    type fileOf = (entry: FileSystemFileEntry) => Promise<File>;
    type handOver = (drop: Drop, { path, file }: Drop["found"][number]) => Promise<void>;
    type discard = (drop: Drop) => Promise<any>;
    type end = (drop: Drop) => Promise<any> | undefined;
    /** Starts a failed one over: the browser has its files while the page is open. */
    type retry = (drop: Drop) => Promise<void>;
    /** How far content is handed over. */
    type drawDrops = (isWanted: (target: any) => boolean) => false | Description;
    type isActive = (transfer: Transfer) => boolean;
    type hasFailures = (transfer: Transfer) => boolean;
    type template = (key: TextKey, values: Values) => string;
    type shown = (value: Loose) => false | Loose[] | Child | null | undefined;
    /** A text. `name` is of another machine, and made safe here. */
    type t = (key: TextKey, values?: Record<string, string | number>) => string;
    /** A text with elements in it: strings become strong names. */
    type r = (key: TextKey, values: Values) => Loose[];
    type failureTitle = (given: Failure) => string;
    type failureAdvice = (given: Failure) => string;
    type ended = (transfer: Transfer) => number;
    type loadFiles = (transfer: Transfer, after: number, before: number[]) => Promise<void>;
    type toggle = (transfer: Transfer) => void;
    /** Names of what is transferred: the first, and how many more. */
    type drawNames = ([first, ...rest]: string[], more?: number) => (false | Description)[];
    type drawRowTransfers = (transfer: Transfer, props: Props) => Description;
    type drawTools = (given: Transfer, title: string) => Description;
    type drawDetails = (transfer: Transfer) => Description | null;
}
