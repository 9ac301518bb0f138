/** @file The input and its translation on top of each other, with a divider between them. */

import {byId} from "./page.js";

const frame = byId("compare");
const range = /** @type {HTMLInputElement} */ (byId("divider"));
const before = /** @type {HTMLImageElement} */ (byId("before"));
const after = /** @type {HTMLImageElement} */ (byId("after"));

function place() {
  const share = Number(range.value);
  before.style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  /** @type {HTMLElement} */ (frame.querySelector(".divider")).style.left = `${share}%`;
  range.setAttribute("aria-valuetext", `${share} percent of the input shown`);
}
range.addEventListener("input", place);
place();

/**
 * Show a pair of images, or none.
 * @param {string | undefined} input Address.
 * @param {string | undefined} output
 * @param {string} name Of the image, for screen readers.
 */
export function showPair(input, output, name) {
  frame.classList.toggle("empty", output === undefined);
  for (const [image, url, what] of /** @type {const} */ ([[before, input, "Input"], [after, output, "Translation"]])) {
    if (url === undefined) image.removeAttribute("src");
    else image.src = url;
    image.alt = url === undefined ? "" : `${what}: ${name}`;
  }
}
