/** @file The page Translate. */

import {takePicture} from "./camera.js";
import {ask, readModels} from "./client.js";
import {showPair} from "./compare.js";
import {chooseSquare} from "./framing.js";
import {byId, element, fail, keepOffline, notify, oneAtATime, reason, save} from "./page.js";
import {newItem, release, setState, setVerdict} from "./results.js";
import {freeName, zip} from "./zip.js";

const MAX_IMAGES = 500;

/** @typedef {import("./results.js").Item} Item */
/** @type {Item[]} */
let items = [];
/** @type {Item | undefined} */
let selected;
/** @type {any} */
let translator;
let isWorking = false;

const domain = /** @type {HTMLSelectElement} */ (byId("domain"));
const files = /** @type {HTMLInputElement} */ (byId("files"));
const download = /** @type {HTMLAnchorElement} */ (byId("download"));
const button = (/** @type {string} */ id) => /** @type {HTMLButtonElement} */ (byId(id));

/** @param {Iterable<File>} added */
function add(added) {
  if (translator === undefined) return notify("There is no translator to use yet.");
  const before = items.length;
  let tooMany = 0;
  for (const file of added) {
    if (items.length >= MAX_IMAGES) {
      tooMany++;
      continue;
    }
    const item = newItem(file);
    item.entry.firstElementChild?.addEventListener("click", () => select(item));
    items.push(item);
  }
  if (tooMany > 0) {
    const were = tooMany === 1 ? "1 was" : `${tooMany} were`;
    notify(`Only ${MAX_IMAGES} images fit at a time; ${were} left out. Clear the list first.`);
  }
  if (items.length === before) return;
  byId("list").append(...items.slice(before).map(item => item.entry));
  byId("results").hidden = false;
  byId("drop").classList.add("small");
  select(items[before]);
  work();
}

async function work() {
  if (isWorking) return;
  isWorking = true;
  byId("count").setAttribute("aria-busy", "true"); // a screen reader waits for the end
  for (let item; (item = next()) !== undefined; ) {
    const {file, square} = item;
    const used = translator;
    setState(item, "working");
    refresh(item);
    /** @type {["done" | "failed", any]} */
    const [state, result] = await ask("translate", {translator: used, file, square})
      .then(made => ["done", made], error => ["failed", reason(error)]);
    if (!items.includes(item)) continue; // the visitor cleared the list meanwhile
    const isWanted = used === translator && square === item.square; // still
    if (isWanted) setState(item, state, result);
    else setState(item, "waiting");
    if (item.state === "done") look(item);
    refresh(item);
  }
  byId("count").setAttribute("aria-busy", "false");
  isWorking = false;
}

/** Whether it is checked what a translator is given. @param {any} one */
function isChecking({check, img_resolution: size}) {
  return check !== null && check.img_resolution === size;
}

/** Find out whether an image looks like those that the model was trained on. @param {Item} item */
async function look(item) {
  const {result} = item;
  const {source} = translator;
  if (!isChecking(translator)) return;
  const distance = await ask("look", {translator, input: result.input}).catch(() => undefined);
  if (item.state !== "done" || item.result !== result) return;
  setVerdict(item, distance === undefined ? undefined : distance <= 1, source);
  refresh(item);
}

/** The image that the visitor looks at comes first. */
function next() {
  if (selected?.state === "waiting") return selected;
  return items.find(item => item.state === "waiting");
}

/** @param {Item} item */
function select(item) {
  selected?.entry.firstElementChild?.removeAttribute("aria-current");
  selected = item;
  item.entry.firstElementChild?.setAttribute("aria-current", "true");
  refresh(item);
}

/** Show the state of an item, and of all of them together. @param {Item} item */
function refresh(item) {
  const done = items.filter(one => one.state === "done").length;
  const failed = items.filter(one => one.state === "failed").length;
  const progress = /** @type {HTMLProgressElement} */ (byId("progress"));
  progress.max = items.length || 1;
  progress.value = done + failed;
  const failures = failed > 0 ? `, ${failed} could not be used` : "";
  const unlike = items.filter(one => one.verdict?.isAlike === false).length;
  const images = items.length === 1 ? "image" : "images";
  const unlikely = unlike > 0 ? `, ${unlike} unlike what the model knows` : "";
  byId("count").textContent = `${done} of ${items.length} ${images} translated${failures}${unlikely}`;
  button("download-all").disabled = done === 0;
  if (item !== selected) return;
  const {file, state, error, result, inputUrl, outputUrl} = item;
  const isDone = state === "done" && result !== undefined;
  showPair(isDone ? inputUrl : undefined, isDone ? outputUrl : undefined, file.name);
  byId("viewer-name").textContent = file.name;
  byId("viewer-facts").textContent = isDone
    ? `${result.width} × ${result.height} px, translated in ${Math.max(1, Math.round(result.milliseconds))} ms` : "";
  byId("viewer-message").textContent = error ?? (isDone ? item.verdict?.words ?? "" : "Working…");
  byId("viewer-message").classList.toggle("bad", error !== undefined || item.verdict?.isAlike === false);
  button("frame").disabled = !isDone;
  download.setAttribute("aria-disabled", String(!isDone));
  if (isDone && outputUrl !== undefined) {
    download.href = outputUrl;
    download.download = freeName(item.stem, `-${translator.variant}.png`, new Set());
  } else {
    download.removeAttribute("href");
  }
  document.dispatchEvent(new CustomEvent("selected", {detail: {item, translator}}));
}

async function frame() {
  const item = selected;
  if (item?.result === undefined) return;
  const chosen = await chooseSquare(item.file, item.result.square, item.result);
  if (chosen === undefined) return;
  item.square = chosen === "usual" ? undefined : chosen;
  setState(item, "waiting");
  refresh(item);
  work();
}

async function addPicture() {
  const picture = await takePicture();
  if (picture !== undefined) add([picture]);
}

async function downloadAll() {
  const {variant, domain} = translator;
  /** @type {Set<string>} */
  const taken = new Set();
  const done = items.filter(item => item.state === "done");
  const named = done.map(item => ({
    name: freeName(item.stem, `-${variant}.png`, taken), blob: item.result.output,
  }));
  save(await zip(named), `${domain}.zip`);
}

function clear() {
  items.forEach(release);
  items = [];
  selected = undefined;
  byId("list").replaceChildren();
  byId("results").hidden = true;
  byId("drop").classList.remove("small");
  button("choose").focus();
}

/** @param {any} chosen */
function use(chosen) {
  translator = chosen;
  const framing = {fit: "the whole image", face: "the middle of the image; move the square to the face yourself"};
  byId("about").textContent = `${chosen.img_resolution} px, from ${chosen.source} images`;
  const seen = framing[/** @type {keyof typeof framing} */ (chosen.framing.framing)] ?? "the middle of the image";
  const checked = isChecking(chosen) ? "" : " It does not check whether an image looks like those.";
  byId("hint").textContent = `The model was trained on ${chosen.source} images and sees ${seen}.${checked}`;
  for (const item of items) setState(item, "waiting");
  notify("");
  if (selected !== undefined) refresh(selected);
  const {dataset} = document.documentElement;
  dataset.usable ??= performance.now().toFixed();
  ask("warm", {translator}).then(() => {
    dataset.warm ??= performance.now().toFixed();
    dataset.ready = "true";
  }, error => {
    if (translator === chosen) fail(error);
  });
  work();
}

/** Whether something is dragged over a control that takes files itself. @param {Event} event */
function isOverControl({target}) {
  return target instanceof HTMLInputElement && target.type === "file";
}

function listen() {
  const drop = byId("drop");
  button("choose").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    add(files.files ?? []);
    files.value = "";
  });
  button("camera").addEventListener("click", oneAtATime(addPicture));
  document.addEventListener("dragover", event => {
    if (isOverControl(event)) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", event => {
    if (event.relatedTarget === null) drop.classList.remove("over");
  });
  document.addEventListener("drop", event => {
    if (isOverControl(event)) return;
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer?.files ?? []);
  });
  document.addEventListener("paste", event => {
    const pasted = event.clipboardData?.files ?? [];
    if (pasted.length > 0) add(pasted);
  });
  button("frame").addEventListener("click", oneAtATime(frame));
  button("download-all").addEventListener("click", oneAtATime(downloadAll));
  button("clear").addEventListener("click", clear);
}

async function start() {
  listen();
  const {translators, offline} = await readModels();
  if (translators.length === 0) {
    domain.replaceChildren(element("option", {}, "nothing yet"));
    byId("hint").textContent = "There is no translator yet. Train one with: ui2i distill DOMAIN";
    for (const id of ["choose", "camera"]) button(id).disabled = true;
    return;
  }
  domain.replaceChildren(...translators.map((/** @type {any} */ one, /** @type {number} */ index) =>
    element("option", {value: String(index)}, `${one.domain} (${one.variant})`)));
  domain.disabled = false;
  domain.addEventListener("change", () => use(translators[Number(domain.value)]));
  use(translators[0]);
  if (offline) keepOffline();
}

start().catch(error => {
  domain.replaceChildren(element("option", {}, "none"));
  fail(error);
});
