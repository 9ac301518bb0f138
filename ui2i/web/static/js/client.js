/** @file The page's side of the worker. */

import {download} from "./download.js";

const worker = new Worker(new URL("./worker.js", import.meta.url), {type: "module"});
/** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
const open = new Map();
let count = 0;
/** @type {Error | undefined} */
let failure; // of the worker itself, which then answers nothing any more

worker.addEventListener("message", ({data}) => {
  const waiting = open.get(data.id);
  if (waiting === undefined) return;
  open.delete(data.id);
  if (data.error === undefined) waiting.resolve(data.result);
  else waiting.reject(new Error(data.error));
});
worker.addEventListener("error", event => {
  event.preventDefault();
  failure = new Error(event.message || "the page's worker could not be loaded; reload the page to try again");
  for (const {reject} of open.values()) reject(failure);
  open.clear();
});

/**
 * Have the worker do something.
 * @param {string} name A task of the worker.
 * @param {object} request
 * @returns {Promise<any>}
 */
export function ask(name, request) {
  if (failure !== undefined) return Promise.reject(failure);
  return new Promise((resolve, reject) => {
    const id = count++;
    open.set(id, {resolve, reject});
    worker.postMessage({id, name, request});
  });
}

/**
 * Return a function of which at most one call runs and at most one waits: the latest.
 * @template T
 * @param {(request: T) => Promise<void>} work
 * @returns {(request: T) => void}
 */
export function latest(work) {
  let isRunning = false;
  /** @type {{request: T} | undefined} */
  let next;
  return async request => {
    next = {request};
    if (isRunning) return;
    isRunning = true;
    while (next !== undefined) {
      const {request: current} = next;
      next = undefined;
      await work(current);
    }
    isRunning = false;
  };
}

/** Return what the site has to offer, from `models/models.json`. */
export async function readModels() {
  return (await download("models/models.json")).json();
}
