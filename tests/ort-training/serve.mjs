// The genuine ORT Training runtime behind a pipe, for tests: one JSON object per line asks, one answers.
//
//   { "open": FOLDER }                     → { "ok": true }
//   { "call": "train", "inputs": [...] }   → { "ok": [output, ...] }, each a list of numbers; likewise "evaluate"
//   { "call": "update" | "reset" }         → { "ok": true }
//   { "call": "parameters" }               → { "ok": base64 of the float32 values }
//   anything that fails                    → { "error": message }
import { createInterface } from 'node:readline';
import { describe, open } from './runtime.mjs';

let trainer;

async function answer({ open: folder, call, inputs }) {
  if (folder) return Boolean(trainer = await open(folder));
  const result = await trainer[call](...(inputs ? [inputs] : []));
  return result instanceof Float32Array ? Buffer.from(result.buffer, result.byteOffset, result.byteLength).toString('base64') : result ?? true;
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await answer(JSON.parse(line)).then((ok) => ({ ok }), (error) => ({ error: describe(error) }));
  process.stdout.write(JSON.stringify(reply) + '\n');
}
