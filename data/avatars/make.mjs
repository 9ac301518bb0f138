// Render avatars: the same people in every style, from attributes that all styles share.
//
//   npm ci && node make.mjs --out DIR [--num 5000] [--size 64] [--seed 7] [--style micah --style lorelei ...]
//
// Writes DIR/<style>/00000.png ... and DIR/attributes.jsonl, one line a person. Equal seeds give equal people. A folder
// of a style is there complete or not at all: whatever cannot be rendered ends the recipe with exit status 1.
import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

const SKIN = ['ffdbb4', 'edb98a', 'd08b5b', 'ae5d29', '694d3d'];
const HAIR = ['2c1b18', '724133', 'b58143', 'd6b370', 'c93305', 'e8e1e1'];
const CLOTHES = ['5199e4', 'ff5c5c', 'a7ffc4', '262e33', 'f3b63a', '731ac3'];

// Hairs of lorelei that end above or below the ear. What is pinned up is in neither list.
const LORELEI_SHORT = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 22, 25, 27, 28, 34, 39, 43, 44, 47];
const LORELEI_LONG = [10, 13, 15, 16, 17, 18, 19, 20, 21, 23, 24, 29, 30, 31, 32, 33, 35, 37, 40, 41, 42, 45, 48];

const numbered = (name, numbers) => numbers.map((number) => name + String(number).padStart(2, '0'));
const upTo = (name, last) => numbered(name, Array.from({ length: last }, (_, index) => index + 1));
const always = (name, isShown) => ({ [`${name}Probability`]: isShown ? 100 : 0 });

// The options in which each style shows the attributes. A person's seed chooses among what is left open.
const STYLES = {
  micah: (person) => ({
    baseColor: [person.skin],
    hairColor: [person.hair],
    facialHairColor: [person.hair],
    eyebrowsColor: [person.hair],
    shirtColor: [person.clothes],
    hair: person.long ? ['full', 'pixie'] : ['fonze', 'dougFunny', 'dannyPhantom'],
    mouth: person.happy ? ['smile', 'laughing'] : ['sad', 'frown'],
    facialHair: ['beard'],
    ...always('glasses', person.glasses),
    ...always('facialHair', person.beard),
  }),
  lorelei: (person) => ({
    skinColor: [person.skin],
    hairColor: [person.hair],
    hair: numbered('variant', person.long ? LORELEI_LONG : LORELEI_SHORT),
    mouth: upTo(person.happy ? 'happy' : 'sad', 9),
    ...always('glasses', person.glasses),
    ...always('beard', person.beard),
  }),
  'pixel-art': (person) => ({
    skinColor: [person.skin],
    hairColor: [person.hair],
    clothingColor: [person.clothes],
    hair: person.long ? upTo('long', 21) : upTo('short', 24),
    mouth: person.happy ? upTo('happy', 13) : upTo('sad', 10),
    ...always('glasses', person.glasses),
    ...always('beard', person.beard),
    ...always('hat', false),
  }),
  'open-peeps': (person) => ({
    skinColor: [person.skin],
    headContrastColor: [person.hair],
    clothingColor: [person.clothes],
    head: person.long
      ? ['long', 'longBangs', 'longCurly', 'medium1', 'bangs']
      : ['short1', 'short2', 'short3', 'short4', 'short5', 'pomp'],
    face: person.happy ? ['smile', 'smileBig', 'cute'] : ['concerned', 'serious', 'fear'],
    accessories: ['glasses', 'glasses2', 'glasses3'],
    ...always('accessories', person.glasses),
    ...always('facialHair', person.beard),
    ...always('mask', false),
  }),
  adventurer: (person) => ({
    skinColor: [person.skin],
    hairColor: [person.hair],
    hair: person.long ? upTo('long', 26) : upTo('short', 16),
    features: ['mustache'],
    ...always('glasses', person.glasses),
    ...always('features', person.beard),
    ...always('earrings', false),
  }),
  'toon-head': (person) => ({
    skinColor: [person.skin],
    hairColor: [person.hair],
    clothesColor: [person.clothes],
    mouth: person.happy ? ['laugh', 'smile'] : ['sad'],
    eyebrows: person.happy ? ['happy', 'neutral'] : ['sad'],
    ...always('rearHair', person.long),
    ...always('beard', person.beard),
  }),
};

function stop(message, status = 1) {
  console.error(`error: ${message}`);
  process.exit(status);
}

function readArguments() {
  const options = {
    out: { type: 'string' },
    num: { type: 'string', default: '5000' },
    size: { type: 'string', default: '64' },
    seed: { type: 'string', default: '7' },
    style: { type: 'string', multiple: true },
  };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    stop(`${error.message}; correct the command`, 2);
  }
  if (!values.out) stop('no folder came, expected one for the images; add --out DIR', 2);
  const whole = {};
  for (const name of ['num', 'size', 'seed']) {
    whole[name] = Number(values[name]);
    if (!/^\d+$/.test(values[name]) || (name !== 'seed' && whole[name] < 1))
      stop(`--${name} is ${values[name]}, expected a whole number; correct it`, 2);
  }
  const styles = values.style ?? Object.keys(STYLES);
  for (const name of styles)
    if (!Object.hasOwn(STYLES, name))
      stop(`there is no style ${name}, expected one of ${Object.keys(STYLES).join(', ')}; correct --style`, 2);
  return { out: values.out, styles, ...whole };
}

// Mulberry32: 32 bits of state are enough for attributes, and every machine draws the same.
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function drawPeople(num, seed) {
  const random = uniform(seed);
  const pick = (list) => list[Math.floor(random() * list.length)];
  return Array.from({ length: num }, (_, index) => {
    const long = random() < 0.5;
    const [skin, hair, clothes] = [pick(SKIN), pick(HAIR), pick(CLOTHES)];
    const glasses = random() < 0.4;
    const beard = !long && random() < 0.5;
    return { seed: `${seed}-${index}`, skin, hair, clothes, long, glasses, beard, happy: random() < 0.6 };
  });
}

// A part that a style does not know is left out of the image without a word, so every name is looked up.
function checkOptions(name, schema, options) {
  for (const [option, value] of Object.entries(options)) {
    const known = schema.properties[option];
    if (!known) throw new Error(`it has no option ${option}`);
    const parts = known.items?.enum;
    const strange = parts && value.find((part) => !parts.includes(part));
    if (strange) throw new Error(`its ${option} has no ${strange}`);
  }
}

function render(style, options, size) {
  const svg = createAvatar(style, { size, backgroundColor: ['ffffff'], ...options }).toString();
  const image = new Resvg(svg, { fitTo: { mode: 'width', value: size } }).render();
  if (image.width !== size || image.height !== size) throw new Error(`it is ${image.width} x ${image.height} px`);
  const words = new Uint32Array(image.pixels.buffer, image.pixels.byteOffset, size * size);
  if (words.every((word) => word === words[0])) throw new Error('it is of one colour');
  return image.asPng();
}

async function renderStyle(name, people, { out, size }) {
  const folder = path.join(out, name);
  const unfinished = `${folder}.unfinished`;
  fs.rmSync(unfinished, { recursive: true, force: true });
  fs.mkdirSync(unfinished);
  let person;
  try {
    const style = await import(`@dicebear/${name}`);
    for (const [index, each] of people.entries()) {
      person = each;
      const options = STYLES[name](person);
      checkOptions(name, style.schema, options);
      const png = render(style, { seed: person.seed, ...options }, size);
      fs.writeFileSync(path.join(unfinished, `${String(index).padStart(5, '0')}.png`), png);
    }
  } catch (error) {
    fs.rmSync(unfinished, { recursive: true, force: true });
    const who = person ? `person ${person.seed} in ${name}` : `the style ${name}`;
    stop(`${who} cannot be rendered: ${error.message}; use the versions of package-lock.json (npm ci)`);
  }
  fs.rmSync(folder, { recursive: true, force: true });
  fs.renameSync(unfinished, folder);
  console.log(`${name}: ${people.length} images of ${size} px`);
}

// One file has the attributes of a folder's people, so all its styles must show the same ones.
function writeAttributes(people, out) {
  const file = path.join(out, 'attributes.jsonl');
  const lines = people.map((person) => `${JSON.stringify(person)}\n`).join('');
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') !== lines)
    stop(`${file} has other people, expected those of this --seed and --num; name another folder, or remove it`, 2);
  fs.mkdirSync(out, { recursive: true });
  fs.writeFileSync(`${file}.unfinished`, lines);
  fs.renameSync(`${file}.unfinished`, file);
}

const settings = readArguments();
const people = drawPeople(settings.num, settings.seed);
writeAttributes(people, settings.out);
for (const name of settings.styles) await renderStyle(name, people, settings);
