/** @file The random numbers of numpy's `RandomState`, so that a seed here is the seed of `ui2i generate`. */

const SIZE = 624;
const OFFSET = 397;

/** The Mersenne Twister, MT19937. */
class MersenneTwister {
  /** @param {number} seed 0 to 2^32 - 1. */
  constructor(seed) {
    this.state = new Uint32Array(SIZE);
    this.state[0] = seed;
    for (let i = 1; i < SIZE; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, before) + i;
    }
    this.next = SIZE;
  }

  /** @returns {number} 32 random bits. */
  bits() {
    if (this.next === SIZE) this.#refill();
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** @returns {number} Uniform in [0, 1), with 53 random bits. */
  uniform() {
    const high = this.bits() >>> 5;
    const low = this.bits() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  #refill() {
    const state = this.state;
    for (let i = 0; i < SIZE; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
      state[i] = state[(i + OFFSET) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }
}

/**
 * Draw a latent z from a standard normal distribution, by Marsaglia's polar method.
 * @param {number} seed 0 to 2^32 - 1.
 * @param {number} length z_dim.
 * @returns {Float32Array}
 */
export function latent(seed, length) {
  const twister = new MersenneTwister(seed);
  const z = new Float32Array(length + 1);
  for (let i = 0; i < length; i += 2) {
    let x, y, square;
    do {
      x = 2 * twister.uniform() - 1;
      y = 2 * twister.uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    z[i] = factor * y;
    z[i + 1] = factor * x;
  }
  return z.slice(0, length);
}
