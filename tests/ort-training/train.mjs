#!/usr/bin/env node
// Trains a folder written by `tools export --target ort-training` in the genuine ORT Training runtime, to see that it opens and learns.
//
//   node tests/ort-training/train.mjs FOLDER [--steps N]
//
// The tokens are a fixed sequence with a rule in it. Build a learning rate in (--bake-learning-rate), because this runtime offers no way to
// set one and otherwise trains at 0.001.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, open } from './runtime.mjs';

function mistake(message) {
  console.error(`error: ${message}`);
  process.exit(2);
}

function settings(argv) {
  const at = argv.indexOf('--steps');
  const steps = at < 0 ? 20 : Number(argv[at + 1]);
  const folders = at < 0 ? argv : argv.toSpliced(at, 2);
  if (folders.length !== 1) mistake('usage: node tests/ort-training/train.mjs FOLDER [--steps N]');
  if (!Number.isInteger(steps) || steps < 1) mistake(`--steps: expected a number of steps, got ${argv[at + 1]}`);
  return { folder: folders[0], steps };
}

function json(folder, name) {
  const path = join(folder, name);
  if (!existsSync(path)) mistake(`${folder} has no ${name}; write it with: tools export --target ort-training`);
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** B sequences of T tokens and the tokens after them; each token follows from the one before, one time in five of chance. */
function* batches(vocabulary, rows, time) {
  let random = 1, token = 0;
  const next = () => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return (random >>> 8) / 2 ** 24;
  };
  const advance = () => (token = next() < 0.2 ? Math.floor(next() * vocabulary) : (token * 5 + 3) % vocabulary);
  while (true) {
    const ids = [], labels = [];
    for (let i = 0; i < rows * time; i++) {
      ids.push(token);
      labels.push(advance());
    }
    const dims = [rows, time];
    yield [{ type: 'int64', dims, data: ids }, { type: 'int64', dims, data: labels }];
  }
}

const { folder, steps } = settings(process.argv.slice(2));
const manifest = json(folder, 'manifest.json');
if (manifest.target !== 'ort-training') mistake(`${folder} was written for ${manifest.target}, not for ort-training`);
const { micro_batch: rows, sequence_length: time } = manifest;
const tokens = batches(json(folder, 'config.json').vocab_size, rows, time);
try {
  const trainer = await open(folder);
  const held = tokens.next().value;
  const mean = async () => (await trainer.evaluate(held))[0].reduce((sum, loss) => sum + loss, 0) / (rows * time);
  console.log(`held-out loss before: ${(await mean()).toFixed(5)}`);
  for (let step = 1; step <= steps; step++) {
    const scale = { type: 'float32', dims: [], data: [1 / (rows * time)] };
    const [[loss], [norm]] = await trainer.train([...tokens.next().value, scale]);
    await trainer.update();
    await trainer.reset();
    console.log(`step ${step}: loss ${loss.toFixed(5)}, gradient norm ${norm.toFixed(5)}`);
  }
  console.log(`held-out loss after: ${(await mean()).toFixed(5)}`);
} catch (error) {
  mistake(`the runtime refuses ${folder}: ${describe(error).split('\n')[0]}`);
}
