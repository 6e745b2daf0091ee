// Makes and updates elements from descriptions, keyed, so that focus, scrolling and typed text survive an update.
// Text becomes a text node and nothing else; no markup is ever parsed.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path"]);
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
	const { key = null, ...props } = /** @type {Props} */ (isProps ? first : {});
	const [tag, ...classes] = selector.split(".");
	if (tag === "button") props.type ??= "button";
	if (classes.length > 0) props.class = classes.join(" ").trim();
	const children = flatten(isProps ? rest : [/** @type {Loose} */ (first), ...rest], []);
	return { tag: tag || "div", key: key === null ? null : String(key), props, children };
}

/** @type {F.flatten} */
function flatten(from, into) {
	for (const child of from) {
		if (Array.isArray(child)) flatten(child, into);
		else if (typeof child === "number") into.push(String(child));
		else if (child) into.push(child);
	}
	return into;
}

/** @type {F.render} */
export function render(parent, children) {
	const focused = document.activeElement;
	patchChildren(parent, flatten(children, []));
	// An element that was moved among its siblings has lost its focus.
	if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
	const calls = mounted;
	mounted = [];
	for (const call of calls) call();
}

/** @type {F.create} */
function create(description) {
	const { tag, props, children } = description;
	const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
	patchChildren(element, children);
	patchProps(element, {}, props);
	madeFrom.set(element, description);
	if (props.mount) mounted.push(() => props.mount?.(element));
	return element;
}

/** @type {F.keyOf} */
const keyOf = (node) => (node instanceof Element ? madeFrom.get(node)?.key : null) ?? null;

/** @type {F.patchChildren} */
function patchChildren(parent, children) {
	/** @type {Map<string | null, Element>} */
	const keyed = new Map();
	for (const child of parent.children) keyed.set(keyOf(child), child);
	const wanted = new Set(children.map((child) => (typeof child === "string" ? null : child.key)));
	let at = parent.firstChild;
	for (const child of children) {
		// An element whose key is not wanted any more leaves first, so that its neighbours need not move.
		while (at && !wanted.has(keyOf(at))) at = remove(at);
		if (typeof child === "string") {
			if (at instanceof Text) {
				if (at.data !== child) at.data = child;
				at = at.nextSibling;
			} else parent.insertBefore(document.createTextNode(child), at);
			continue;
		}
		const same = child.key !== null ? keyed.get(child.key) : at instanceof Element && keyOf(at) === null ? at : undefined;
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
	for (const name in before) if (!(name in after)) setProp(element, name, before[name], null);
	for (const name in after) setProp(element, name, before[name], after[name]);
}

/** @type {F.setProp} */
function setProp(element, name, before, value) {
	if (name === "mount" || name === "unmount") return;
	if (name === "style") {
		for (const part in before) if (!(part in (value ?? {}))) element.style.removeProperty(part);
		for (const part in value) if (before?.[part] !== value[part]) element.style.setProperty(part, value[part]);
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
		if (value === null || value === undefined || value === false) element.removeAttribute(name);
		else element.setAttribute(name, value === true ? "" : String(value));
	}
}
