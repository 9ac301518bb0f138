/** @file What all pages share: their elements, and short messages at the lower edge. */

document.getElementById("unstarted")?.remove();
const NOTICE_MILLISECONDS = 8000;
let timer = 0;

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element ${id}`);
  return found;
}

/**
 * Make an element. Text is always text: a file's name may look like HTML.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @param {string} text Shown for a while; empty: none. @param {boolean} [stays] It is shown until the next one. */
export function notify(text, stays = false) {
  byId("notice").textContent = text;
  clearTimeout(timer);
  if (!stays) timer = window.setTimeout(() => (byId("notice").textContent = ""), NOTICE_MILLISECONDS);
}

/** @param {unknown} error @returns {string} What it says. */
export function reason(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Say that the page cannot do what it is for. @param {unknown} error */
export function fail(error) {
  notify(`The models cannot be used: ${reason(error)}.`, true);
  document.documentElement.dataset.ready = "failed";
}

/**
 * Return a listener that says why a call failed, and does nothing while the last one is under way.
 * @param {() => Promise<void>} work
 */
export function oneAtATime(work) {
  let isRunning = false;
  return async () => {
    if (isRunning) return;
    isRunning = true;
    await work().catch(error => notify(reason(error)));
    isRunning = false;
  };
}

/** @param {string} url @param {RequestInit} [options] @returns {Promise<Response>} */
export async function fetchServer(url, options) {
  const answer = await fetch(url, options).catch(() => {
    throw new Error("The server does not answer. Is ui2i serve still running?");
  });
  if (answer.status !== 401) return answer;
  throw new Error("The server has been restarted since this page was opened. Open the link that ui2i serve printed.");
}

/**
 * Ask the server, which says in words what it refuses.
 * @param {string} url
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
export async function askServer(url, options) {
  const answer = await fetchServer(url, options);
  const content = await answer.json().catch(() => ({error: `the server answers ${answer.status}`}));
  if (!answer.ok) throw new Error(content.error);
  return content;
}

/** @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = /** @type {HTMLAnchorElement} */ (element("a", {download: name}));
  link.href = URL.createObjectURL(blob);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Keep the site for offline use, where it is allowed to be kept. */
export function keepOffline() {
  if ("serviceWorker" in navigator && window.isSecureContext) {
    const scope = new URL("..", import.meta.url).pathname;
    navigator.serviceWorker.register(new URL("../sw.js", import.meta.url), {scope})
      .catch(() => {}); // the page works without it
  }
}
