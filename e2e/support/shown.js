// What a page has shown of an element all the while, and what it has sent over its WebSockets.

/** Remembers in the page, from its beginning, each text that this element shows. */
export async function watch(tab, selector) {
  await tab.addInitScript((selector) => {
    globalThis.shown = [];
    const look = () => {
      const text = document.querySelector(selector)?.textContent;
      if (text && globalThis.shown.at(-1) !== text) globalThis.shown.push(text);
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  }, selector);
}

/** Each text that it has shown since it was loaded. */
export function shownBy(tab) {
  return tab.evaluate(() => globalThis.shown);
}

/** The WebSockets that a tab opens from now on, with the kinds of frames that have gone over them. */
export function socketsOf(tab) {
  const sockets = [];
  tab.on("websocket", (socket) => {
    const kinds = { sent: [], received: [] };
    const note = (list) => ({ payload }) => list.push(JSON.parse(payload).kind);
    socket.on("framesent", note(kinds.sent));
    socket.on("framereceived", note(kinds.received));
    sockets.push(kinds);
  });
  return sockets;
}
