/** @file From an image of any size to the square that a model takes, resampled as `ui2i` does. */

const LOBES = 3;
const MAX_SIDE = 2048; // pixels; from a larger square the browser first makes one of this side

/** @typedef {{x: number, y: number, side: number}} Square In pixels of the upright image; may reach beyond it. */

/**
 * Return the square that a framing means: the largest in the middle, or the smallest around all.
 * @param {number} width
 * @param {number} height
 * @param {string} framing
 * @returns {Square}
 */
export function framedSquare(width, height, framing) {
  const side = framing === "fit" ? Math.max(width, height) : Math.min(width, height);
  return {x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), side};
}

/**
 * Cut a square out of an image.
 * @param {ImageBitmap} bitmap
 * @param {Square} square
 * @param {number} resolution Side of the result in pixels.
 * @param {string} background CSS colour under transparent pixels and beside the image.
 * @returns {ImageData} The square, `resolution` pixels a side.
 */
export function cut(bitmap, square, resolution, background) {
  const side = Math.max(1, Math.min(Math.round(square.side), Math.max(MAX_SIDE, resolution)));
  const context = new OffscreenCanvas(side, side).getContext("2d", {willReadFrequently: true});
  if (context === null) throw new Error("no memory for the image");
  context.fillStyle = background;
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  const scale = side / square.side;
  context.drawImage(bitmap, -square.x * scale, -square.y * scale, bitmap.width * scale, bitmap.height * scale);
  return lanczos(context.getImageData(0, 0, side, side), resolution);
}

/**
 * Resample a square by Lanczos' filter, rows first, with rounding in between, as Pillow does.
 * @param {ImageData} image
 * @param {number} resolution
 * @returns {ImageData}
 */
function lanczos(image, resolution) {
  const side = image.width;
  const result = new ImageData(resolution, resolution);
  if (side === resolution) {
    result.data.set(image.data);
    return result;
  }
  const taps = filterTaps(side, resolution);
  const between = new Uint8ClampedArray(resolution * side * 4);
  for (let y = 0; y < side; y++) resample(image.data, y * side * 4, 4, between, y * resolution * 4, 4, taps);
  for (let x = 0; x < resolution; x++) {
    resample(between, x * 4, resolution * 4, result.data, x * 4, resolution * 4, taps);
  }
  return result;
}

/**
 * @param {number} from
 * @param {number} to
 * @returns {{start: number, weights: Float64Array}[]} For each pixel, which ones of the source it is made of.
 */
function filterTaps(from, to) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = LOBES * stretch;
  return Array.from({length: to}, (_, place) => {
    const center = (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const weights = Float64Array.from({length: end - start}, (_, i) => kernel((start + i - center + 0.5) / stretch));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return {start, weights: weights.map(weight => weight / sum)};
  });
}

/** @param {number} x */
function kernel(x) {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  const angle = Math.PI * x;
  return (LOBES * Math.sin(angle) * Math.sin(angle / LOBES)) / (angle * angle);
}

/**
 * Resample one row or column of RGBA pixels.
 * @param {Uint8ClampedArray} source
 * @param {number} from First value.
 * @param {number} fromStep Between pixels.
 * @param {Uint8ClampedArray} target
 * @param {number} to
 * @param {number} toStep
 * @param {{start: number, weights: Float64Array}[]} taps
 */
function resample(source, from, fromStep, target, to, toStep, taps) {
  for (const {start, weights} of taps) {
    let red = 0, green = 0, blue = 0;
    for (let i = 0, place = from + start * fromStep; i < weights.length; i++, place += fromStep) {
      red += weights[i] * source[place];
      green += weights[i] * source[place + 1];
      blue += weights[i] * source[place + 2];
    }
    target[to] = red;
    target[to + 1] = green;
    target[to + 2] = blue;
    target[to + 3] = 255;
    to += toStep;
  }
}
