/** @file The worker: everything that takes time runs here, so that the page itself never waits. */

import * as ort from "../runtime/ort.wasm.bundle.min.mjs";
import {download} from "./download.js";
import {mix} from "./mixing.js";
import {latent} from "./random.js";
import {cut, framedSquare} from "./resize.js";
import {fromHalf, toImage, toTensor} from "./tensors.js";

const NEEDED = ["WebAssembly", "OffscreenCanvas", "DecompressionStream"]; // of the browser
const MAX_MEGABYTES = 100; // of one file
const PREVIEW = 1024; // pixels, of the longer side of what the framing is chosen on

/** @type {Promise<void> | undefined} */
let runtime;
/** @type {Map<string, Promise<ort.InferenceSession>>} */
const sessions = new Map();
/** @type {Map<string, Promise<Float32Array>>} */
const weights = new Map();
/** @type {{key: string, tensors: Record<string, ort.Tensor>} | undefined} */
let mixed;

async function start() {
  const missing = NEEDED.filter(name => !(name in self));
  if (missing.length > 0) {
    throw new Error(`this browser has no ${missing.join(", ")}; use a current Chrome, Edge, Firefox or Safari`);
  }
  const packed = new Uint8Array(await (await download("runtime/ort.wasm.gz")).arrayBuffer());
  const isPacked = packed[0] === 0x1f && packed[1] === 0x8b; // some hosts unpack such files themselves
  const unpacking = () => new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  ort.env.wasm.wasmBinary = isPacked ? await new Response(unpacking()).arrayBuffer() : packed.buffer;
  ort.env.wasm.numThreads = 1; // two were never faster for networks of this size
  ort.env.logLevel = "error";
}

/** Keep what a function made by its key, but not a failure. */
function once(/** @type {Map<string, Promise<any>>} */ kept, /** @type {string} */ key, /** @type {() => any} */ make) {
  let made = kept.get(key);
  if (made === undefined) {
    made = Promise.resolve().then(make);
    made.catch(() => kept.delete(key));
    kept.set(key, made);
  }
  return made;
}

/** @param {string} url @returns {Promise<ort.InferenceSession>} */
function session(url) {
  return once(sessions, url, async () => {
    runtime ??= start();
    await runtime.catch(error => {
      runtime = undefined;
      throw error;
    });
    const model = new Uint8Array(await (await download(url)).arrayBuffer());
    return ort.InferenceSession.create(model, {executionProviders: ["wasm"]});
  });
}

/**
 * Open an image, upright, and free it after its use.
 * @template T
 * @param {Blob} file
 * @param {(bitmap: ImageBitmap) => T | Promise<T>} use
 * @returns {Promise<T>}
 */
async function opened(file, use) {
  if (file.size > MAX_MEGABYTES * 1e6) throw new Error(`This file is larger than ${MAX_MEGABYTES} MB.`);
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("This browser cannot open the file as an image. It may be damaged, too large, or of a format that " +
      "the browser does not know; convert it to JPEG or PNG.");
  });
  try {
    return await use(bitmap);
  } finally {
    bitmap.close();
  }
}

/** @param {ImageData | ImageBitmap} image @param {number} width @param {number} height */
async function png(image, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("no memory for the image");
  if (image instanceof ImageData) context.putImageData(image, 0, 0);
  else context.drawImage(image, 0, 0, width, height);
  return canvas.convertToBlob({type: "image/png"});
}

/** What the page can ask for, by name. */
const tasks = {
  /** Load a translator and run it once: the first run is slower than all others. */
  async warm({translator}) {
    const {img_resolution: size} = translator;
    await run(translator, new Float32Array(3 * size * size));
    return {};
  },

  /** Translate an image file, cut by a framing or by a square that the visitor chose. */
  async translate({translator, file, square}) {
    const start = performance.now();
    const {img_resolution: size, framing} = translator;
    const {input, chosen, width, height} = await opened(file, bitmap => {
      const {width, height} = bitmap;
      const chosen = square ?? framedSquare(width, height, framing.framing ?? "center");
      return {input: cut(bitmap, chosen, size, framing.background ?? "white"), chosen, width, height};
    });
    const before = performance.now();
    const output = toImage(await run(translator, toTensor(input)), size);
    const milliseconds = performance.now() - before;
    const pngs = await Promise.all([png(input, size, size), png(output, size, size)]);
    return {
      input: pngs[0], output: pngs[1],
      square: chosen, width, height, milliseconds, total: performance.now() - start,
    };
  },

  /** Return how far an image, cut as for a translator, is from its source's own; up to 1 it looks like them. */
  async look({translator: {img_resolution: size, check}, input}) {
    const values = await opened(input, bitmap => toTensor(cut(bitmap, {x: 0, y: 0, side: size}, size, "white")));
    const images = new ort.Tensor("float32", values, [1, 3, size, size]);
    const {distances} = await (await session(check.file)).run({images});
    return /** @type {Float32Array} */ (distances.data)[0];
  },

  /** Return a smaller copy of an image for choosing its framing. */
  async preview({file}) {
    return opened(file, async bitmap => {
      const scale = Math.min(1, PREVIEW / Math.max(bitmap.width, bitmap.height));
      const width = Math.max(1, Math.round(bitmap.width * scale));
      const height = Math.max(1, Math.round(bitmap.height * scale));
      return {blob: await png(bitmap, width, height), scale};
    });
  },

  /** Generate images of a mixed model, one a latent code. */
  async explore({family, codes, shares, source, border}) {
    const start = performance.now();
    const w = await mappedCodes(family, codes);
    const parameters = await mixedParameters(family, shares, source, border);
    const {num_ws: layers, w_dim: dim, img_resolution: size} = family;
    const ws = new Float32Array(codes.length * layers * dim);
    for (let row = 0; row < codes.length; row++) {
      for (let layer = 0; layer < layers; layer++) {
        ws.set(w.subarray(row * dim, (row + 1) * dim), (row * layers + layer) * dim);
      }
    }
    const synthesis = await session(family.synthesis);
    const input = new ort.Tensor("float32", ws, [codes.length, layers, dim]);
    const {images} = await synthesis.run({...parameters, ws: input});
    const values = /** @type {Float32Array} */ (images.data);
    return {
      images: codes.map((/** @type {any} */ _, /** @type {number} */ index) => toImage(values, size, index)),
      milliseconds: performance.now() - start,
    };
  },
};

/** @param {any} translator @param {Float32Array} values */
async function run(translator, values) {
  const {img_resolution: size, file} = translator;
  const images = new ort.Tensor("float32", values, [1, 3, size, size]);
  const {translations} = await (await session(file)).run({images});
  return /** @type {Float32Array} */ (translations.data);
}

/** Return w [n * w_dim] of codes: between two seeds, truncated, then moved along directions. */
async function mappedCodes(/** @type {any} */ family, /** @type {any[]} */ codes) {
  const {z_dim: zDim, w_dim: dim} = family;
  const z = new Float32Array(2 * codes.length * zDim);
  codes.forEach(({seed, toward}, row) => {
    z.set(latent(seed, zDim), 2 * row * zDim);
    z.set(latent(toward ?? seed, zDim), (2 * row + 1) * zDim);
  });
  const psi = Float32Array.from({length: 2 * codes.length}, (_, row) => codes[row >> 1].psi);
  const {w: both} = await (await session(family.mapping)).run({
    z: new ort.Tensor("float32", z, [2 * codes.length, zDim]),
    truncation_psi: new ort.Tensor("float32", psi, [2 * codes.length, 1]),
  });
  const values = /** @type {Float32Array} */ (both.data);
  const w = new Float32Array(codes.length * dim);
  codes.forEach(({share = 0, steps = []}, row) => {
    for (let i = 0; i < dim; i++) {
      const from = values[2 * row * dim + i];
      let value = from + share * (values[(2 * row + 1) * dim + i] - from);
      for (const [place, step] of steps.entries()) value += step * family.directions[place][i];
      w[row * dim + i] = value;
    }
  });
  return w;
}

/** @returns {Promise<Record<string, ort.Tensor>>} Inputs of the synthesis network; those of the last call are kept. */
async function mixedParameters(
  /** @type {any} */ family, /** @type {number[]} */ shares, /** @type {number} */ source, /** @type {any} */ border,
) {
  const key = JSON.stringify([family.synthesis, shares, source, border]);
  if (mixed?.key === key) return mixed.tensors;
  const files = family.models.map((/** @type {any} */ model) => model.file);
  for (const file of weights.keys()) if (!files.includes(file)) weights.delete(file); // of another family
  const loaded = await Promise.all(files.map((/** @type {string} */ file) =>
    once(weights, file, async () => fromHalf(await (await download(file)).arrayBuffer()))));
  const values = mix(loaded, shares, source, border, family.parameters);
  /** @type {Record<string, ort.Tensor>} */
  const tensors = {};
  for (const {name, shape, offset, size} of family.parameters) {
    tensors[name] = new ort.Tensor("float32", values.subarray(offset, offset + size), shape);
  }
  mixed = {key, tensors};
  return tensors;
}

// One task at a time, in order: two would only share the one thread.
let last = Promise.resolve();
self.addEventListener("message", ({data: {id, name, request}}) => {
  last = last.then(async () => {
    try {
      self.postMessage({id, result: await tasks[/** @type {keyof typeof tasks} */ (name)](request)});
    } catch (error) {
      const isTold = error instanceof Error; // what WebAssembly throws is a number
      self.postMessage({id, error: isTold ? error.message : `the models' runtime failed (${error}); reload the page`});
    }
  });
});
