/** @file The page Runs: what `ui2i status` knows. What takes long to find out is added when it is known. */

import {askServer, byId, element, reason} from "./page.js";

const DOMAINS = {domain: "domain", trained: "trained", measured: "measured", state: "state"};
/** @type {[string, string, Record<string, string>][]} */
const RUNS = [
  ["running", "Running", {name: "run", state: "process", since: "since"}],
  ["scheduled", "Scheduled", {name: "run", time: "time"}],
  ["failed", "Failed in the last 7 days", {name: "run", state: "state", ended: "ended", why: "why"}],
];

/** @type {any[]} */
let domains = [];

/** @param {string} title @param {any[]} rows @param {Record<string, string>} columns @param {string | null} [server] */
function table(title, rows, columns, server) {
  const head = element("tr", {}, ...Object.values(columns).map(name => element("th", {scope: "col"}, name)));
  const cell = (/** @type {any} */ row, /** @type {string} */ name) => name === "name" && row.id && server
    ? [element("a", {href: `${server}/runs/flow-run/${row.id}`, target: "_blank", rel: "noreferrer"}, row.name)]
    : withCode(row[name] ?? "");
  const body = rows.map(row => element("tr", {}, ...Object.entries(columns).map(([name, heading]) =>
    element("td", {"data-label": heading, ...(row[name] ? {} : {class: "empty"})},
      element("span", {}, ...cell(row, name))))));
  return element("section", {}, element("h2", {}, title),
    element("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": title},
      element("table", {class: "stacks"}, element("thead", {}, head), element("tbody", {}, ...body))));
}

/** Show as code what a text has between backticks. @param {string} text */
function withCode(text) {
  return text.split("`").map((part, place) => (place % 2 === 1 ? element("code", {}, part) : part));
}

/**
 * Show what the server says about one thing, or why it does not.
 * @param {string} what
 * @param {(found: any) => void} show
 * @returns {Promise<boolean>} Whether it says something.
 */
async function load(what, show) {
  const state = byId(`${what}-state`);
  state.classList.remove("bad");
  try {
    const found = await askServer(`api/standing/${what}`);
    state.textContent = "";
    show(found);
    return true;
  } catch (error) {
    state.textContent = reason(error);
    state.classList.add("bad");
    return false;
  }
}

/** @param {any[]} found @param {string} [otherwise] Instead of a state that is not known. */
function showDomains(found, otherwise = "asking DVC…") {
  domains = found;
  const rows = domains.map(row => ({...row, state: row.state || otherwise}));
  byId("domains").replaceChildren(...rows.length > 0 ? [table("Domains", rows, DOMAINS)] : []);
  if (rows.length === 0) byId("domains-state").textContent = "There is no domain yet. ui2i new-domain makes one.";
}

/** @param {any} found */
function showRuns(found) {
  const filled = RUNS.filter(([key]) => found[key].length > 0);
  byId("runs").replaceChildren(...filled.map(([key, title, columns]) =>
    table(title, found[key], columns, found.server)));
  if (found.server === null) {
    byId("runs-state").textContent = "No Prefect server is up, so nothing is known of runs. ui2i up starts one.";
  } else if (found.running.length + found.failed.length === 0) {
    byId("runs-state").textContent = "Nothing is running, and nothing failed lately.";
  }
}

/** Add what DVC says. */
async function loadCurrent() {
  if (!await load("current", showDomains)) showDomains(domains, "unknown");
}

async function loadAll() {
  const again = /** @type {HTMLButtonElement} */ (byId("again"));
  again.disabled = true;
  const isThere = await load("domains", showDomains); // what files say, at once
  document.documentElement.dataset.ready = "true";
  byId("runs-state").textContent = isThere ? "Asking Prefect…" : "";
  if (isThere) await Promise.all([load("runs", showRuns), loadCurrent()]);
  again.disabled = false;
}

byId("again").addEventListener("click", loadAll);
loadAll();
