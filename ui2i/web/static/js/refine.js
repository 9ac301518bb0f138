/** @file The whole pipeline for one image, which the server runs: slower than the translator. */

import {askServer, byId, element, reason} from "./page.js";

const MAX_MEGABYTES = 100; // of an image and its reference together
const POLL = 700; // milliseconds
const NUM_DIRECTIONS = 4;
const refine = /** @type {HTMLButtonElement} */ (byId("refine"));
const progress = /** @type {HTMLProgressElement} */ (byId("refine-progress"));
const form = /** @type {HTMLFormElement} */ (byId("refine-form"));
const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
/** @type {{item: any, translator: any} | undefined} */
let shown;
/** @type {string | undefined} */
let open;
let isBusy = false; // also before the server has answered
let translated = ""; // address of the translator's result beside the refined ones

document.addEventListener("selected", event => {
  shown = /** @type {CustomEvent} */ (event).detail;
  refine.disabled = isBusy || !isTranslated();
});

/** Whether the selected image has been translated by the chosen model. */
function isTranslated() {
  return shown?.item.state === "done" && shown.item.result !== undefined;
}

/** @param {string} text Which a screen reader reads when it changes. */
function tell(text) {
  if (byId("refine-state").textContent !== text) byId("refine-state").textContent = text;
}

/** @param {boolean} busy */
function setBusy(busy) {
  isBusy = busy;
  refine.disabled = busy || !isTranslated();
  progress.hidden = !busy;
  byId("refine-cancel").hidden = true; // until there is something to cancel
}

/**
 * What the visitor chose.
 * @param {string} domain
 * @param {Blob} image
 * @returns {{query: URLSearchParams, body: Blob}} The reference image's bytes come behind the image's.
 */
function request(domain, image) {
  const query = new URLSearchParams({domain, image_bytes: String(image.size)});
  for (const name of ["steps", "styles"]) query.set(name, input(`refine-${name}`).value);
  for (let number = 1; number <= NUM_DIRECTIONS; number++) {
    const strength = Number(input(`refine-direction-${number}`).value);
    if (strength !== 0) query.append("edit", `${number}:${strength}`);
  }
  const reference = input("refine-reference").files?.[0];
  const body = reference === undefined ? image : new Blob([image, reference]);
  if (body.size > MAX_MEGABYTES * 1e6) throw new Error(`The files are larger than ${MAX_MEGABYTES} MB together.`);
  return {query, body};
}

function listDirections() {
  byId("refine-directions").replaceChildren(...Array.from({length: NUM_DIRECTIONS}, (_, place) => {
    const id = `refine-direction-${place + 1}`;
    const range = /** @type {HTMLInputElement} */ (
      element("input", {id, type: "range", min: "-4", max: "4", step: "0.5", value: "0"}));
    const output = /** @type {HTMLOutputElement} */ (element("output", {for: id, "aria-live": "off"}, "0"));
    range.addEventListener("input", () => (output.value = range.value));
    form.addEventListener("reset", () => (output.value = "0"));
    return element("label", {}, `Direction ${place + 1} `, output, range);
  }));
}

async function start() {
  if (shown === undefined || !isTranslated()) return;
  if (!form.reportValidity()) {
    byId("refine-options").setAttribute("open", "");
    form.reportValidity();
    return;
  }
  const {item, translator} = shown;
  setBusy(true);
  URL.revokeObjectURL(translated);
  translated = URL.createObjectURL(item.result.output);
  byId("refined").hidden = false;
  byId("refine-images").replaceChildren();
  progress.removeAttribute("value");
  tell(`${item.file.name}: sent to the server on this computer…`);
  try {
    // Of a square that the visitor chose, the server gets the square.
    const {query, body} = request(translator.domain, item.square === undefined ? item.file : item.result.input);
    let found = await askServer(`api/refinements?${query}`, {method: "POST", body});
    open = found.id;
    byId("refine-cancel").hidden = false;
    while (["waiting", "working"].includes(found.state)) {
      tell(`${item.file.name}: ${found.state === "waiting" ? "waiting for its turn" : found.note || "starting"}…`);
      if (found.total > 0) {
        progress.max = found.total;
        progress.value = found.done;
      }
      await new Promise(resolve => setTimeout(resolve, POLL));
      found = await askServer(`api/refinements/${open}`);
    }
    tell(found.state === "cancelled" ? "Cancelled." : `${item.file.name}: ${found.message}`);
    const images = [["translator", translated], ...found.images.map((/** @type {string} */ variant) =>
      [variant, `api/refinements/${open}/${encodeURIComponent(variant)}`])];
    if (found.state === "done") {
      byId("refine-images").replaceChildren(...images.map(([name, src]) => element("figure", {},
        element("img", {src, alt: `${name} of ${item.file.name}`}), element("figcaption", {}, name))));
    }
  } catch (error) {
    tell(reason(error));
  }
  open = undefined;
  setBusy(false);
}

listDirections();
form.addEventListener("submit", event => {
  event.preventDefault();
  if (!refine.disabled) start();
});
refine.addEventListener("click", start);
byId("refine-cancel").addEventListener("click", () => {
  if (open !== undefined) askServer(`api/refinements/${open}`, {method: "DELETE"}).catch(error => tell(error.message));
});
