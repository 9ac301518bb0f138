/** @file Between pixels and what networks take: float32 [n, 3, R, R] in [-1, 1]. */

/**
 * @param {ImageData} image Square.
 * @returns {Float32Array} [3, R, R].
 */
export function toTensor(image) {
  const area = image.width * image.height;
  const values = new Float32Array(3 * area);
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      values[channel * area + i] = image.data[4 * i + channel] / 127.5 - 1;
    }
  }
  return values;
}

/**
 * @param {Float32Array} values [n, 3, R, R].
 * @param {number} resolution R.
 * @param {number} [index] Which of the n.
 * @returns {ImageData}
 */
export function toImage(values, resolution, index = 0) {
  const area = resolution * resolution;
  const image = new ImageData(resolution, resolution);
  const start = 3 * area * index;
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * i + channel] = (values[start + channel * area + i] + 1) * 127.5; // clamped and rounded
    }
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/**
 * Decode float16 values, which few browsers have a type for yet.
 * @param {ArrayBuffer} buffer Little-endian, as every browser's machine is.
 * @returns {Float32Array}
 */
export function fromHalf(buffer) {
  const halves = new Uint16Array(buffer);
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < halves.length; i++) {
    const exponent = (halves[i] >>> 10) & 31;
    const fraction = halves[i] & 1023;
    const sign = halves[i] & 0x8000 ? -1 : 1;
    if (exponent === 0) values[i] = sign * fraction * 2 ** -24;
    else bits[i] = ((halves[i] & 0x8000) << 16) | ((exponent + 112) << 23) | (fraction << 13);
  }
  return values;
}
