/** @file The dialog in which the square that the model sees is moved and resized. */

import {ask} from "./client.js";
import {byId} from "./page.js";

const STEP = 0.02; // of the shorter side, an arrow key's
const MAX_PERCENT = 200; // of the shorter side, the square's, unless the model's own framing has a larger one
const dialog = /** @type {HTMLDialogElement} */ (byId("framing-dialog"));
const canvas = /** @type {HTMLCanvasElement} */ (byId("framing-canvas"));
const size = /** @type {HTMLInputElement} */ (byId("framing-size"));

/** @typedef {import("./resize.js").Square} Square */
/** @type {{bitmap: ImageBitmap, scale: number, square: Square, width: number, height: number} | undefined} */
let state;

/**
 * Let the visitor choose a square.
 * @param {Blob} file
 * @param {Square} square The present one.
 * @param {{width: number, height: number}} image Size of the image in pixels.
 * @returns {Promise<Square | "usual" | undefined>} The square, the usual one, or no change.
 */
export async function chooseSquare(file, square, {width, height}) {
  const {blob, scale} = await ask("preview", {file});
  state = {bitmap: await createImageBitmap(blob), scale, square: {...square}, width, height};
  canvas.width = state.bitmap.width;
  canvas.height = state.bitmap.height;
  const percent = (100 * square.side) / Math.min(width, height);
  size.max = String(Math.max(MAX_PERCENT, Math.ceil(percent)));
  size.value = String(percent);
  draw();
  dialog.returnValue = "";
  dialog.showModal();
  canvas.focus();
  await new Promise(resolve => dialog.addEventListener("close", resolve, {once: true}));
  const chosen = state.square;
  state.bitmap.close();
  state = undefined;
  if (dialog.returnValue === "reset") return "usual";
  return dialog.returnValue === "apply" ? chosen : undefined;
}

function draw() {
  const context = canvas.getContext("2d");
  if (state === undefined || context === null) return;
  const {bitmap, scale, square: {x, y, side}} = state;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  context.fillStyle = "#000a";
  context.beginPath();
  context.rect(0, 0, canvas.width, canvas.height);
  context.rect(x * scale, y * scale, side * scale, side * scale);
  context.fill("evenodd");
  context.strokeStyle = "#fff";
  context.lineWidth = Math.max(2, canvas.width / 250);
  context.strokeRect(x * scale, y * scale, side * scale, side * scale);
}

/** Move the square, whose middle stays in the image. @param {number} dx Pixels of the image. @param {number} dy */
function move(dx, dy) {
  if (state === undefined) return;
  const {square, width, height} = state;
  const half = square.side / 2;
  square.x = Math.min(width - half, Math.max(-half, square.x + dx));
  square.y = Math.min(height - half, Math.max(-half, square.y + dy));
  draw();
}

/** @param {number} percent Of the shorter side. */
function resize(percent) {
  if (state === undefined) return;
  const {square, width, height} = state;
  const side = Math.max(1, (percent / 100) * Math.min(width, height));
  const grown = side - square.side;
  square.side = side;
  move(-grown / 2, -grown / 2);
}

size.addEventListener("input", () => resize(Number(size.value)));
canvas.addEventListener("pointerdown", event => canvas.setPointerCapture(event.pointerId));
canvas.addEventListener("pointermove", event => {
  if (state === undefined || !canvas.hasPointerCapture(event.pointerId)) return;
  const ratio = canvas.width / canvas.clientWidth / state.scale;
  move(event.movementX * ratio, event.movementY * ratio);
});
canvas.addEventListener("wheel", event => {
  event.preventDefault();
  size.value = String(Number(size.value) - Math.sign(event.deltaY) * 4);
  resize(Number(size.value));
}, {passive: false});
canvas.addEventListener("keydown", event => {
  if (state === undefined) return;
  const step = STEP * Math.min(state.width, state.height);
  const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
  const found = moves[/** @type {keyof typeof moves} */ (event.key)];
  const zoom = {"+": 4, "-": -4}[event.key];
  if (found !== undefined) move(found[0], found[1]);
  if (zoom !== undefined) {
    size.value = String(Number(size.value) + zoom);
    resize(Number(size.value));
  }
  if (found !== undefined || zoom !== undefined) event.preventDefault();
});
