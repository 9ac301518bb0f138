/** @file Mixing the parameters of related models: domains by shares, and layers by resolution. */

/** @typedef {{name: string, shape: number[], offset: number, size: number}} Parameter */

/**
 * Share of the source in the block at a resolution: sigmoid((log2(swap / resolution) + 1/2) / width), in [0, 1].
 * @param {number} resolution Pixels.
 * @param {number} swap The last block of the source; 0: none is.
 * @param {number} width Of the transition, in blocks; 0: a hard border.
 */
export function sourceShare(resolution, swap, width) {
  if (swap === 0) return 0;
  const below = Math.log2(swap / resolution) + 0.5;
  if (width === 0) return below > 0 ? 1 : 0;
  return 0.5 * (1 + Math.tanh((0.5 * below) / width));
}

/**
 * Mix models: the target is a mean of models, and its coarse layers move to the source's. ToRGB layers stay the
 * target's.
 * @param {Float32Array[]} models Parameters of each, all in the same order.
 * @param {number[]} shares Of each model in the target; not all 0.
 * @param {number} source Place of the source among the models.
 * @param {{swap: number, width: number}} border
 * @param {Parameter[]} parameters
 * @returns {Float32Array} Parameters of the mixed model.
 */
export function mix(models, shares, source, border, parameters) {
  const total = shares.reduce((sum, share) => sum + share, 0);
  const mixed = new Float32Array(models[0].length);
  for (const {name, offset, size} of parameters) {
    const match = /^b(\d+)\.(\w+)/.exec(name);
    const kept = match === null || match[2] === "torgb" ? 0 : sourceShare(Number(match[1]), border.swap, border.width);
    for (const [index, model] of models.entries()) {
      const share = ((1 - kept) * shares[index]) / total + (index === source ? kept : 0);
      if (share === 0) continue;
      for (let i = offset; i < offset + size; i++) mixed[i] += share * model[i];
    }
  }
  return mixed;
}
