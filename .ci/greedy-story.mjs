// Usage: node greedy-story.mjs SERVER MODEL RECORDED: the likeliest tokens from the first token on, over HTTP. Each must be the one that the session's scores of the
// whole text, read at once, call likeliest. And the first half must be those that PyTorch found with the weights before quantization (greedyIds of the file); of these
// INT8 keeps 99 of 100 as the likeliest, and where it first does not, the stories part.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const [server, model, recorded] = process.argv.slice(2);
const { greedyIds } = JSON.parse(readFileSync(recorded, 'utf8'));

async function post(path, body) {
  const response = await fetch(server + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ model, ...body }) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

const greedy = { temperature: 0, logprobs: 1 };
const answer = await post('/v1/completions', { prompt: greedyIds.slice(0, 1), max_tokens: greedyIds.length - 1, ...greedy });
const [{ text }] = answer.choices;
console.log(text);
assert.equal(answer.usage.completion_tokens, greedyIds.length - 1);

const { tokens } = await post('/tokenize', { prompt: text.trimStart(), add_special_tokens: false });
const ids = [greedyIds[0], ...tokens];
const parted = ids.findIndex((id, i) => id !== greedyIds[i]), same = parted < 0 ? ids.length : parted;
console.log(`the first ${same} of ${greedyIds.length} tokens are those of the weights before quantization`);
assert.ok(same >= greedyIds.length / 2);

const { tokens: read, token_logprobs: scores, top_logprobs: best } = (await post('/v1/completions', { prompt: ids, max_tokens: 1, echo: true, ...greedy })).choices[0].logprobs;
assert.equal(read.length, ids.length + 1);
for (let i = 1; i < ids.length; i++) assert.ok(scores[i] >= Math.max(...Object.values(best[i])), `token ${i}, '${read[i]}', is not the likeliest`);
