// Drops on the page, and pasted files.

/** Drops files and folders of the disk on an element, as the system's file manager would. */
export async function drop(page, locator, files) {
    const { x, y, width, height } = await locator.boundingBox();
    const cdp = await page.context().newCDPSession(page);
    for (const type of ["dragEnter", "dragOver", "drop"]) await cdp.send("Input.dispatchDragEvent", { type, x: x + width / 2, y: y + height / 2, data: { items: [], files, dragOperationsMask: 1 } });
}

/** Pastes a file of this name and text. */
export const paste = (page, name, text) => page.evaluate(([fileName, content]) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([content], fileName, { type: "text/plain" }));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}, [name, text]);
