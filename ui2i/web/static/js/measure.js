/** @file The page Measure: a project's translations by their scores, and its report. */

import {askServer, byId, element, fetchServer, reason} from "./page.js";

const FILTERS = ["order", "name", "variant", "max_ssim", "max_score"];
const DELAY = 200; // milliseconds after the last letter
const control = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
let timer = 0;
let shown = 0;
let count = 0;

/** Return the filters that are set; they are the page's address, too, so that it can be kept and sent on. */
function filters() {
  const query = new URLSearchParams();
  for (const name of FILTERS) if (control(name).value !== "") query.set(name, control(name).value);
  return query;
}

/** @param {number} start Images before the first one wanted. */
async function load(start) {
  const domain = control("domain").value;
  const query = filters();
  history.replaceState(null, "", `?${new URLSearchParams([["domain", domain], ...query])}`);
  query.set("start", String(start));
  const number = ++count;
  try {
    const found = await askServer(`api/translations/${encodeURIComponent(domain)}?${query}`);
    if (number !== count) return; // the filters have changed meanwhile
    const {total, images, has_scores: hasScores} = found;
    byId("score-label").hidden = !hasScores;
    offer(found.variants);
    if (start === 0) byId("cards").replaceChildren();
    byId("cards").append(...images.map((/** @type {any} */ image) => card(domain, image)));
    shown = start + images.length;
    byId("count").textContent = total === 0 ? "No translation fits these filters." : `${shown} of ${total} images`;
    byId("more").hidden = shown >= total;
  } catch (error) {
    if (number === count) fail(error);
  }
}

/** Let the visitor choose among models. @param {string[]} names */
function offer(names) {
  const choice = control("variant");
  const chosen = choice.value;
  if (chosen !== "" && !names.includes(chosen)) names = [...names, chosen]; // of another domain, or of an old link
  choice.replaceChildren(element("option", {value: ""}, "all"),
    ...names.map(name => element("option", {value: name}, name)));
  choice.value = chosen;
}

/** @param {string} domain @param {any} image */
function card(domain, {index, name, ssim, score, variants}) {
  const place = `api/translations/${encodeURIComponent(domain)}/${index}`;
  const figures = ["input", ...variants].map(variant => element("figure", {},
    element("img", {src: `${place}/${encodeURIComponent(variant)}`, alt: `${variant} of ${name}`, loading: "lazy"}),
    element("figcaption", {}, variant)));
  const values = score === null ? `SSIM ${ssim.toFixed(2)}` : `score ${score.toFixed(2)}, SSIM ${ssim.toFixed(2)}`;
  return element("article", {class: "card"}, element("div", {class: "strip"}, ...figures),
    element("strong", {}, name), " ", element("span", {class: "faint"}, values));
}

/** @param {unknown} error */
function fail(error) {
  byId("count").textContent = reason(error);
}

async function showReport() {
  byId("report-message").textContent = "Working…";
  const answer = await fetchServer("report.html");
  byId("report-message").textContent = answer.ok ? "" : await answer.text();
  if (!answer.ok) return;
  const frame = /** @type {HTMLIFrameElement} */ (byId("report"));
  frame.src = "report.html";
  frame.hidden = false;
}

async function start() {
  const domains = await askServer("api/translations");
  document.documentElement.dataset.ready = "true";
  if (domains.length === 0) {
    byId("count").textContent = "Nothing has been translated yet. ui2i new-domain does that for its test images.";
    byId("filter").hidden = true;
    return;
  }
  const domain = control("domain");
  domain.replaceChildren(...domains.map((/** @type {string} */ name) => element("option", {value: name}, name)));
  domain.disabled = false;
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (name === "variant") offer([value]);
    if (name === "domain" ? domains.includes(value) : FILTERS.includes(name)) control(name).value = value;
  }
  domain.addEventListener("input", () => (control("variant").value = ""));
  byId("filter").addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => load(0), DELAY);
  });
  byId("filter").addEventListener("submit", event => event.preventDefault());
  byId("more").addEventListener("click", () => load(shown));
  await load(0);
}

start().catch(fail);
showReport().catch(error => (byId("report-message").textContent = reason(error)));
