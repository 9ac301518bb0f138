/** @file The page Explore. */

import {ask, latest, readModels} from "./client.js";
import {byId, element, fail, keepOffline, notify, save} from "./page.js";

const NUM_PEOPLE = 12;
const PAUSE = 250; // milliseconds without a change, after which the strips follow
const PLAY_MILLISECONDS = 3300; // from one seed to the next
const MAX_STEP = 0.05; // of this way, however long a frame took
const SHORT_FRAME = 16; // milliseconds; the screen shows no more frames than that
const DIRECTION_RANGE = 4; // of w's usual distance from its mean

const form = /** @type {HTMLFormElement} */ (byId("controls"));
const canvas = /** @type {HTMLCanvasElement} */ (byId("image"));
const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
/** @type {any} */
let family;
let isPlaying = false;
let movedAt = 0;
let timer = 0;

/** @param {string} id @returns {number} */
const value = id => Number(input(id).value);

/** What the controls say. */
function settings() {
  const shares = family.models.map((/** @type {any} */ _, /** @type {number} */ index) => value(`share-${index}`));
  if (shares.every((/** @type {number} */ share) => share === 0)) shares[0] = 1;
  const resolutions = [0, ...family.resolutions];
  return {
    family,
    shares,
    source: Number(/** @type {HTMLSelectElement} */ (byId("source")).value),
    border: {swap: resolutions[value("swap")], width: value("width")},
    codes: [code(seed())],
  };
}

/** @returns {number} */
function seed() {
  return Math.min(2 ** 32 - 1, Math.max(0, Math.trunc(value("seed")) || 0));
}

/** @param {number} first A seed. */
function code(first) {
  const steps = family.directions.map((/** @type {any} */ _, /** @type {number} */ index) =>
    value(`direction-${index}`));
  return {seed: first, toward: (first + 1) % 2 ** 32, share: value("share"), psi: value("psi"), steps};
}

/** @param {HTMLCanvasElement} target @param {ImageData} image */
function paint(target, image) {
  if (target.width !== image.width || target.height !== image.height) { // which would also clear it
    target.width = image.width;
    target.height = image.height;
  }
  target.getContext("2d")?.putImageData(image, 0, 0);
}

const render = latest(async (/** @type {ReturnType<typeof settings>} */ request) => {
  try {
    const {images: [image], milliseconds} = await ask("explore", request);
    paint(canvas, image);
    byId("facts").textContent = `seed ${request.codes[0].seed}, ${milliseconds.toFixed(0)} ms`;
    canvas.dataset.frames = String(Number(canvas.dataset.frames ?? 0) + 1);
    if (document.documentElement.dataset.ready === "failed") notify("");
    document.documentElement.dataset.ready = "true";
    // Waiting for the screen after each long frame would show no more than every second of its frames.
    if (isPlaying) (milliseconds < SHORT_FRAME || document.hidden ? requestAnimationFrame : queueMicrotask)(advance);
  } catch (error) {
    stop(error, request);
  }
});

/** The strips: one person in each model, and other people in this mixture. */
const renderStrips = latest(async (/** @type {ReturnType<typeof settings>} */ request) => {
  const [person] = request.codes;
  try {
    for (const [index, figure] of [...byId("models").children].entries()) {
      const shares = request.shares.map((/** @type {number} */ _, /** @type {number} */ place) =>
        Number(place === index));
      const border = {swap: 0, width: 0};
      const {images} = await ask("explore", {...request, shares, border});
      paint(/** @type {HTMLCanvasElement} */ (figure.querySelector("canvas")), images[0]);
    }
    const seeds = Array.from({length: NUM_PEOPLE}, (_, place) => (person.seed + 1 + place) % 2 ** 32);
    for (const [place, other] of seeds.entries()) { // one at a time, so that the large image never waits long
      const {images} = await ask("explore", {...request, codes: [{...person, seed: other, share: 0}]});
      if (request.family !== family) return; // the visitor chose another meanwhile
      const button = /** @type {HTMLElement} */ (byId("people").children[place]);
      paint(/** @type {HTMLCanvasElement} */ (button.querySelector("canvas")), images[0]);
      button.dataset.seed = String(other);
      button.setAttribute("aria-label", `Show seed ${other}`);
    }
    byId("people").dataset.seed = String(person.seed);
  } catch (error) {
    stop(error, request);
  }
});

function update() {
  const request = settings();
  for (const output of form.querySelectorAll("output")) {
    const id = output.htmlFor.value;
    output.value = shown(id, request);
    input(id).setAttribute("aria-valuetext", output.value);
  }
  render(request);
  clearTimeout(timer);
  if (!isPlaying) timer = window.setTimeout(() => renderStrips(request), PAUSE);
}

/** @param {string} id @param {ReturnType<typeof settings>} request @returns {string} */
function shown(id, request) {
  if (id === "swap") return request.border.swap === 0 ? "none" : `${request.border.swap} px`;
  if (id === "share") return `${Math.round(100 * value(id))} %`;
  if (id.startsWith("share-")) {
    const total = request.shares.reduce((/** @type {number} */ sum, /** @type {number} */ one) => sum + one, 0);
    return `${Math.round((100 * request.shares[Number(id.slice(6))]) / total)} %`;
  }
  return value(id).toFixed(2);
}

/** Move on towards the next seed. */
function advance() {
  if (!isPlaying) return;
  const now = performance.now();
  const share = value("share") + Math.min(MAX_STEP, (now - movedAt) / PLAY_MILLISECONDS);
  movedAt = now;
  if (share >= 1) {
    input("seed").value = String((seed() + 1) % 2 ** 32);
    input("share").value = "0";
  } else {
    input("share").value = String(share);
  }
  update();
}

/** @param {boolean} playing */
function play(playing) {
  isPlaying = playing;
  byId("play").textContent = playing ? "Pause" : "Play";
}

/** @param {unknown} error @param {ReturnType<typeof settings>} request That it is of. */
function stop(error, request) {
  if (request.family !== family) return;
  play(false);
  fail(error);
}

/** @param {string} id @param {string} label @param {Record<string, string>} attributes */
function slider(id, label, attributes) {
  const range = element("input", {id, type: "range", ...attributes});
  return element("label", {}, `${label} `, element("output", {for: id, "aria-live": "off"}), range);
}

/** @param {any} chosen A family of models. */
function use(chosen) {
  family = chosen;
  const models = family.models.map((/** @type {any} */ model) => model.name);
  const last = String(models.length - 1);
  byId("shares").replaceChildren(...models.map((/** @type {string} */ name, /** @type {number} */ index) =>
    slider(`share-${index}`, name, {min: "0", max: "1", step: "0.01", value: String(Number(String(index) === last))})));
  byId("source").replaceChildren(...models.map((/** @type {string} */ name, /** @type {number} */ index) =>
    element("option", {value: String(index)}, name)));
  input("swap").max = String(family.resolutions.length);
  const reach = String(DIRECTION_RANGE * family.w_spread);
  byId("directions").replaceChildren(...family.directions.map((/** @type {any} */ _, /** @type {number} */ index) =>
    slider(`direction-${index}`, `Direction ${index + 1}`, {min: `-${reach}`, max: reach, step: "any", value: "0"})));
  byId("models").replaceChildren(...models.map((/** @type {string} */ name) =>
    element("figure", {}, element("canvas", {role: "img", "aria-label": name}), element("figcaption", {}, name))));
  byId("people").replaceChildren(...Array.from({length: NUM_PEOPLE}, () =>
    element("button", {type: "button", "aria-label": "Another person"}, element("canvas"))));
  byId("explore").hidden = false;
  update();
}

function listen() {
  form.addEventListener("input", update);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => {
    play(false);
    update();
  }));
  byId("random").addEventListener("click", () => {
    input("seed").value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
    input("share").value = "0";
    update();
  });
  byId("play").addEventListener("click", () => {
    play(!isPlaying);
    update();
  });
  byId("people").addEventListener("click", event => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button?.dataset.seed === undefined) return;
    input("seed").value = button.dataset.seed;
    input("share").value = "0";
    update();
  });
  byId("save").addEventListener("click", () => canvas.toBlob(blob => {
    if (blob !== null) save(blob, `seed${String(seed()).padStart(4, "0")}.png`);
  }));
}

async function start() {
  const {families, offline} = await readModels();
  if (families.length === 0) {
    byId("empty").textContent = "There is no model to explore yet. Train a domain first: " +
      "ui2i new-domain NAME --images PATH --base BASE";
    byId("empty").hidden = false;
    return;
  }
  const choice = /** @type {HTMLSelectElement} */ (byId("family"));
  choice.replaceChildren(...families.map((/** @type {any} */ one, /** @type {number} */ index) =>
    element("option", {value: String(index)}, one.base)));
  byId("family-label").hidden = families.length < 2;
  choice.addEventListener("change", event => {
    event.stopPropagation();
    for (const option of choice.options) option.defaultSelected = option.selected; // which Reset keeps
    use(families[Number(choice.value)]);
  });
  listen();
  use(families[0]);
  if (offline) keepOffline();
}

start().catch(fail);
