/** @file The list of images that were added, and their states. */

import {element} from "./page.js";

/**
 * @typedef {"waiting" | "working" | "done" | "failed"} State
 * @typedef {object} Item
 * @property {File} file
 * @property {string} stem Its name without the ending.
 * @property {State} state
 * @property {string} [error]
 * @property {any} [result] Of the worker's task `translate`.
 * @property {import("./resize.js").Square} [square] That the visitor chose.
 * @property {string} [inputUrl]
 * @property {string} [outputUrl]
 * @property {{isAlike: boolean | undefined, words: string}} [verdict] Whether it looks like what the model was trained on.
 * @property {HTMLElement} entry
 */

const WORDS = {waiting: "waiting", working: "working…", done: "done", failed: "failed"};

/** @param {File} file @returns {Item} */
export function newItem(file) {
  const stem = file.name.replace(/\.[^.]{1,5}$/, "") || "image";
  const button = element("button", {type: "button"});
  const item = {file, stem, state: /** @type {State} */ ("waiting"), entry: element("li", {}, button)};
  paint(item);
  return item;
}

/** Give an item a result, or take it away. @param {Item} item @param {State} state @param {any} [result] */
export function setState(item, state, result) {
  item.state = state;
  item.verdict = undefined;
  item.error = state === "failed" ? String(result) : undefined;
  if (state === "done" || state === "failed") release(item);
  if (state === "done") {
    item.result = result;
    item.inputUrl = URL.createObjectURL(result.input);
    item.outputUrl = URL.createObjectURL(result.output);
  }
  paint(item);
}

/**
 * Say of an item whether it looks like the images that the model was trained on.
 * @param {Item} item
 * @param {boolean | undefined} isAlike undefined: that could not be checked.
 * @param {string} source Of the model's images.
 */
export function setVerdict(item, isAlike, source) {
  const known = `the ${source} images that the model was trained on`;
  const unchecked = `Whether it looks like ${known} could not be checked.`;
  const checked = isAlike ? `It looks like ${known}.` : `It does not look like ${known}; expect a poor result.`;
  item.verdict = {isAlike, words: isAlike === undefined ? unchecked : checked};
  paint(item);
}

/** Free what an item's images take. @param {Item} item */
export function release(item) {
  for (const url of [item.inputUrl, item.outputUrl]) if (url !== undefined) URL.revokeObjectURL(url);
  item.inputUrl = item.outputUrl = item.result = item.verdict = undefined;
}

/** @param {Item} item */
function paint(item) {
  const button = /** @type {HTMLElement} */ (item.entry.firstElementChild);
  const isUnlike = item.verdict?.isAlike === false;
  item.entry.className = isUnlike ? `${item.state} unlike` : item.state;
  const shown = item.outputUrl === undefined
    ? element("span", {class: "box"}, WORDS[item.state])
    : element("img", {src: item.outputUrl, alt: "", loading: "lazy"});
  button.replaceChildren(shown, element("span", {class: "name"}, item.file.name));
  button.setAttribute("aria-label",
    `${item.file.name}: ${WORDS[item.state]}${isUnlike ? ", unlike what the model knows" : ""}`);
  button.title = item.error ?? (isUnlike ? `${item.file.name}: ${item.verdict?.words}` : item.file.name);
}
