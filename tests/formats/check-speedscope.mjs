// Checks files against speedscope's own JSON schema, and what a schema cannot say.
//
//   node check-speedscope.mjs [--modules NODE_MODULES] FILE.json...
//
// Needs ajv and speedscope (found in NODE_MODULES, or along NODE_PATH). The exit status is 1 when
// a file is not valid.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const files = process.argv.slice(2);
const at = files.indexOf("--modules");
const modules = at >= 0 ? files.splice(at, 2)[1] : undefined;
if (files.length === 0) {
  console.error("usage: node check-speedscope.mjs [--modules NODE_MODULES] FILE.json...");
  process.exit(2);
}
const require = createRequire(modules ? path.resolve(modules, "_") : import.meta.url);
const { default: Ajv } = require("ajv");
const schema = require("speedscope/dist/release/file-format-schema.json");
const valid = new Ajv({ allErrors: true, strict: false }).compile(schema);

/** What is wrong with a profile that has the right shape. */
function* mistakes({ profiles, shared }) {
  for (const { name, samples, weights, startValue, endValue } of profiles) {
    if (samples.length !== weights.length) yield `${name}: ${samples.length} samples, ${weights.length} weights`;
    const known = (frame) => Number.isInteger(frame) && frame >= 0 && frame < shared.frames.length;
    if (!samples.every((sample) => sample.every(known))) yield `${name}: an unknown frame`;
    if (!weights.every((weight) => weight >= 0)) yield `${name}: a negative weight`;
    const sum = weights.reduce((sum, weight) => sum + weight, 0);
    if (Math.abs(endValue - startValue - sum) > 1e-6 * Math.max(sum, 1)) yield `${name}: weights sum up to ${sum}`;
  }
  const frames = new Set(shared.frames.map((frame) => JSON.stringify(frame)));
  if (frames.size !== shared.frames.length) yield "a frame is listed twice";
}

let failed = false;
for (const file of files) {
  const profile = JSON.parse(readFileSync(file, "utf8"));
  const found = valid(profile)
    ? [...mistakes(profile)]
    : valid.errors.map((error) => `${error.instancePath} ${error.message}`);
  failed ||= found.length > 0;
  const { profiles, shared } = profile;
  console.log(found.length ? `NOT OK: ${file}` : `ok: ${file}: ${profiles.length} profiles, ${shared.frames.length} frames`);
  found.slice(0, 20).forEach((mistake) => console.log(`  ${mistake}`));
}
process.exit(failed ? 1 : 0);
