/** @file Zip archives without compression: PNG files are compressed already. */

const TABLE = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
const UTF8 = 0x0800;
const MIDNIGHT_1980 = 0x00210000; // the earliest date that the format knows; nobody needs another

/**
 * @param {Uint8Array} bytes
 * @returns {number} Their CRC-32.
 */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * @param {...[number, number]} fields Each a width in bytes, 2 or 4, and a value.
 * @returns {Uint8Array} The values, little-endian.
 */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [width]) => sum + width, 0)));
  let place = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(place, value, true);
    else view.setUint32(place, value, true);
    place += width;
  }
  return new Uint8Array(view.buffer);
}

/**
 * Pack files into one archive.
 * @param {{name: string, blob: Blob}[]} files Names are all different.
 * @returns {Promise<Blob>}
 */
export async function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const {name, blob} of files) {
    const path = new TextEncoder().encode(name);
    const content = new Uint8Array(await blob.arrayBuffer());
    /** @type {[number, number][]} */
    const shared = [
      [2, 20], [2, UTF8], [2, 0], [4, MIDNIGHT_1980],
      [4, crc32(content)], [4, content.length], [4, content.length], [2, path.length], [2, 0],
    ];
    const head = record([4, 0x04034b50], ...shared);
    directory.push(record([4, 0x02014b50], [2, 20], ...shared, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), path);
    parts.push(head, path, blob);
    offset += head.length + path.length + content.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record(
    [4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, offset], [2, 0],
  );
  return new Blob([...parts, ...directory, end], {type: "application/zip"});
}

/**
 * Return a name that is not taken yet, in any case of its letters: `a.png`, `A-2.png`, ...
 * @param {string} stem
 * @param {string} ending
 * @param {Set<string>} taken In small letters; the name is added.
 */
export function freeName(stem, ending, taken) {
  const safe = stem.replace(/[\\/:*?"<>|\u0000-\u001f]/g, "_").slice(0, 100) || "image";
  let name = `${safe}${ending}`;
  for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${safe}-${count}${ending}`;
  taken.add(name.toLowerCase());
  return name;
}
