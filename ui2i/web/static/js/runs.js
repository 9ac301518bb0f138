/** @file The page Runs: what `ui2i status` knows. */

import {byId, element} from "./page.js";

/** @type {[string, string, Record<string, string>][]} */
const TABLES = [
  ["domains", "Domains", {domain: "domain", trained: "trained", measured: "measured", state: "state"}],
  ["running", "Running", {name: "run", state: "process", since: "since"}],
  ["scheduled", "Scheduled", {name: "run", time: "time"}],
  ["failed", "Failed in the last 7 days", {name: "run", state: "state", ended: "ended", why: "why"}],
];

/** @param {string} title @param {any[]} rows @param {Record<string, string>} columns @param {string | null} server */
function table(title, rows, columns, server) {
  const head = element("tr", {}, ...Object.values(columns).map(name => element("th", {scope: "col"}, name)));
  const cell = (/** @type {any} */ row, /** @type {string} */ name) => name === "name" && row.id && server
    ? element("a", {href: `${server}/runs/flow-run/${row.id}`, target: "_blank", rel: "noreferrer"}, row.name)
    : row[name];
  const body = rows.map(row =>
    element("tr", {}, ...Object.keys(columns).map(name => element("td", {}, cell(row, name)))));
  return element("section", {}, element("h2", {}, title), element("div", {class: "scroll", tabindex: "0"},
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...body))));
}

async function load() {
  byId("state").textContent = "Loading…";
  byId("state").classList.remove("bad");
  try {
    const answer = await fetch("api/standing");
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    const filled = TABLES.filter(([key]) => found[key].length > 0);
    byId("tables").replaceChildren(...filled.map(([key, title, columns]) =>
      table(title, found[key], columns, found.server)));
    byId("state").textContent = found.server === null
      ? "No Prefect server is up, so nothing is known of runs. ui2i up starts one."
      : found.running.length + found.failed.length === 0 ? "Nothing is running, and nothing failed lately." : "";
  } catch (error) {
    byId("state").textContent = error instanceof TypeError
      ? "The server does not answer. Is ui2i serve still running?" : String(error).replace(/^Error: /, "");
    byId("state").classList.add("bad");
  }
  document.documentElement.dataset.ready = "true";
}

byId("again").addEventListener("click", load);
load();
