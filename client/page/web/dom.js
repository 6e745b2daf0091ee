// Makes and updates elements from descriptions, so that focus, scrolling and typed text survive. What has no key is known by its
// place among its siblings, where `false` holds one too. Text becomes a text node; no markup is ever parsed.

const SVG = "http://www.w3.org/2000/svg";
/** Set as properties, not as attributes: the person may have changed them. */
const PROPERTIES = new Set(["value", "checked", "indeterminate", "disabled"]);

/** @type {WeakMap<Element, Description>} */
const madeFrom = new WeakMap();
/** Calls that wait until the whole update is in the document. @type {(() => void)[]} */
let mounted = [];
/** `changed` is called after every handler of an element. */
export const hooks = { changed: () => {} };

/** @type {F.h} */
export function h(selector, first, ...rest) {
	const isProps = typeof first === "object" && first !== null && !Array.isArray(first) && !("tag" in first);
	const { key = "", ...props } = /** @type {Props} */ (isProps ? first : {});
	const [tag, ...classes] = selector.split(".");
	if (tag === "button") props.type ??= "button";
	if (classes.length > 0) props.class = classes.join(" ").trim();
	return { tag: tag || "div", key: String(key), props, children: flatten(isProps ? rest : [/** @type {Loose} */ (first), ...rest]) };
}

/** @type {F.flatten} */
function flatten(from, into = [], place = ":") {
	from.forEach((child, at) => {
		if (Array.isArray(child)) flatten(child, into, `${place}${at}:`);
		else if (typeof child === "object" && child) {
			child.key ||= place + at;
			into.push(child);
		} else if (child || child === 0) into.push(String(child));
	});
	return into;
}

/** @type {F.render} */
export function render(parent, children) {
	const focused = document.activeElement;
	patchChildren(parent, flatten(children));
	// An element that was moved among its siblings has lost its focus.
	if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
	const calls = mounted;
	mounted = [];
	for (const call of calls) call();
}

/** @type {F.create} */
function create(description) {
	const { tag, props, children } = description;
	const element = tag === "svg" || tag === "path" ? document.createElementNS(SVG, tag) : document.createElement(tag);
	patchChildren(element, children);
	patchProps(element, {}, props);
	madeFrom.set(element, description);
	if (props.mount) mounted.push(() => props.mount?.(element));
	return element;
}

/** @type {F.keyOf} */
const keyOf = (node) => (node instanceof Element && madeFrom.get(node)?.key) || null;

/** @type {F.patchChildren} */
function patchChildren(parent, children) {
	const keyed = new Map(Array.from(parent.children, (child) => [keyOf(child), child]));
	const wanted = new Set(children.map((child) => (typeof child === "string" ? null : child.key)));
	let at = parent.firstChild;
	for (const child of children) {
		// An element that is not wanted any more leaves first, so that its neighbours stay.
		while (at && !wanted.has(keyOf(at))) at = remove(at);
		if (typeof child === "string") {
			if (at instanceof Text) {
				if (at.data !== child) at.data = child;
				at = at.nextSibling;
			} else parent.insertBefore(document.createTextNode(child), at);
			continue;
		}
		const same = keyed.get(child.key);
		const before = same && madeFrom.get(same);
		if (same && before?.tag === child.tag) {
			if (same === at) at = at.nextSibling;
			else parent.insertBefore(same, at);
			patchChildren(same, child.children);
			patchProps(same, before.props, child.props);
			madeFrom.set(same, child);
		} else {
			parent.insertBefore(create(child), at);
			if (same && same === at) at = remove(at);
		}
	}
	while (at) at = remove(at);
}

/** @type {F.removeDom} */
function remove(node) {
	const next = node.nextSibling;
	if (node instanceof Element) unmount(node);
	node.remove();
	return next;
}

/** @type {F.unmount} */
function unmount(element) {
	for (const child of element.children) unmount(child);
	madeFrom.get(element)?.props.unmount?.(element);
}

/** @type {F.patchProps} */
function patchProps(element, before, after) {
	for (const name in { ...before, ...after }) setProp(element, name, before[name], after[name]);
}

/** @type {F.setProp} */
function setProp(element, name, before, value) {
	if (name === "mount" || name === "unmount") return;
	if (name === "style") {
		for (const part in { ...before, ...value }) if (before?.[part] !== value?.[part]) element.style.setProperty(part, value?.[part] ?? "");
	} else if (name.startsWith("on")) {
		element[name] = value && ((/** @type {Event} */ event) => {
			const result = value(event);
			hooks.changed();
			if (result instanceof Promise) void result.finally(hooks.changed);
		});
	} else if (PROPERTIES.has(name)) {
		const wanted = value ?? (name === "value" ? "" : false);
		if (element[name] !== wanted) element[name] = wanted;
	} else if (before !== value) {
		if (value === true) element.setAttribute(name, "");
		else if (value || value === 0 || value === "") element.setAttribute(name, value);
		else element.removeAttribute(name);
	}
}
