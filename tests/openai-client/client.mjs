// The official `openai` client for JavaScript against a server of ours: node client.mjs ADDRESS KEY FILTERED
// Prints one line per check, "ok NAME" or "FAIL NAME: why", and exits with 1 if one failed.
// The server has three models: org/toy tells a story, "noise" says random things, "faulty" breaks while it answers. The one at FILTERED forbids "forbiddenword".
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const [address, key, filtered] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${address}v1`, apiKey: key, maxRetries: 0 });
const story = 'Once upon a time there was a small server. The stop is a word.';
const chat = { model: 'org/toy', messages: [{ role: 'user', content: 'Hello' }], temperature: 0 };
const noise = { model: 'noise', messages: [{ role: 'user', content: 'Hello' }] };

const gathered = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};
const content = (chunks, index = 0) => chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index).map((choice) => choice.delta.content ?? '').join('');
const refusal = (promise) => promise.then(() => assert.fail('it was accepted'), (error) => error);
const metric = async (name) => {
  const response = await fetch(`${address}metrics`, { headers: { Authorization: `Bearer ${key}` } });
  return Number((await response.text()).split('\n').find((line) => line.startsWith(name)).split(' ').at(-1));
};

const checks = {
  async 'models are listed and found'() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.deepEqual(ids, ['org/toy', 'noise', 'faulty']);
    assert.equal((await client.models.retrieve('org/toy')).object, 'model');
  },
  async 'chat answers whole'() {
    const answer = await client.chat.completions.create(chat);
    const [choice] = answer.choices;
    assert.equal(choice.message.content, story);
    assert.equal(choice.finish_reason, 'stop');
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.match(answer._request_id, /^req_/);
  },
  async 'chat streams the same, with usage at the end'() {
    const chunks = await gathered(await client.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } }));
    assert.equal(content(chunks), story);
    assert.equal(chunks[0].choices[0].delta.role, 'assistant');
    assert.deepEqual(chunks.flatMap((chunk) => chunk.choices).map((choice) => choice.finish_reason).filter(Boolean), ['stop']);
    assert.ok(chunks.at(-1).usage.completion_tokens > 0);
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
  },
  async 'two choices stream beside each other'() {
    const chunks = await gathered(await client.chat.completions.create({ ...noise, n: 2, seed: 3, max_completion_tokens: 12, stream: true }));
    assert.notEqual(content(chunks, 0), content(chunks, 1));
  },
  async 'the streaming helper assembles the answer'() {
    const runner = client.chat.completions.stream(chat);
    assert.equal(await runner.finalContent(), story);
  },
  async 'a stop sequence ends the answer before it'() {
    const answer = await client.chat.completions.create({ ...chat, stop: [' The stop'] });
    assert.equal(answer.choices[0].message.content, 'Once upon a time there was a small server.');
  },
  async 'completions echo and score'() {
    const { choices: [choice] } = await client.completions.create({ model: 'org/toy', prompt: 'Once upon', max_tokens: 4, temperature: 0, echo: true, logprobs: 2 });
    assert.ok(choice.text.startsWith('Once upon'));
    assert.equal(choice.logprobs.token_logprobs[0], null);
    assert.equal(choice.logprobs.tokens.join(''), choice.text);
  },
  async 'chat scores tokens, whose bytes are the answer'() {
    const { choices: [choice] } = await client.chat.completions.create({ ...noise, seed: 5, max_completion_tokens: 8, logprobs: true, top_logprobs: 5 });
    const scores = choice.logprobs.content;
    assert.equal(Buffer.from(scores.flatMap((score) => score.bytes)).toString(), choice.message.content);
    for (const { top_logprobs } of scores) {
      assert.equal(top_logprobs.length, 5);
      assert.ok(top_logprobs.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0) <= 1.0001);
    }
  },
  async 'a function is called, and the runner calls it'() {
    const parameters = { type: 'object', additionalProperties: false, required: ['a'], properties: { a: { type: 'integer' } } };
    const tools = [{ type: 'function', function: { name: 'add', description: 'Adds.', parameters, strict: true } }];
    const { choices: [choice] } = await client.chat.completions.create({ ...noise, tools, tool_choice: 'required', parallel_tool_calls: false });
    assert.equal(choice.finish_reason, 'tool_calls');
    assert.equal(choice.message.content, null);
    const [call] = choice.message.tool_calls;
    assert.ok(Number.isInteger(JSON.parse(call.function.arguments).a));
    const streamed = await client.chat.completions.stream({ ...noise, tools, tool_choice: { type: 'function', function: { name: 'add' } } }).finalChatCompletion();
    assert.deepEqual(Object.keys(JSON.parse(streamed.choices[0].message.tool_calls[0].function.arguments)), ['a']);
    const told = [...noise.messages, choice.message, { role: 'tool', tool_call_id: call.id, content: '2' }];
    const next = await client.chat.completions.create({ ...noise, messages: told, tools, tool_choice: 'none', max_completion_tokens: 4 });
    assert.equal(next.choices[0].message.tool_calls, undefined);
  },
  async 'a response answers whole, streamed, and by a call'() {
    const ask = { model: 'org/toy', input: [{ role: 'user', content: 'Hello' }], temperature: 0 };
    const response = await client.responses.create(ask);
    assert.equal(response.output_text, story);
    assert.equal(response.status, 'completed');
    const streamed = await client.responses.stream(ask).finalResponse();
    assert.equal(streamed.output[0].content[0].text, story);
    assert.equal(streamed.usage.total_tokens, response.usage.total_tokens);
    const tools = [{ type: 'function', name: 'add', strict: true, parameters: { type: 'object', additionalProperties: false, required: ['a'], properties: { a: { type: 'integer' } } } }];
    const { output: [call] } = await client.responses.create({ model: 'noise', input: 'Add.', tools, tool_choice: { type: 'function', name: 'add' } });
    assert.equal(call.type, 'function_call');
    assert.ok(Number.isInteger(JSON.parse(call.arguments).a));
    const next = await client.responses.create({ model: 'noise', input: [{ role: 'user', content: 'Add.' }, call, { type: 'function_call_output', call_id: call.call_id, output: '2' }], max_output_tokens: 4 });
    assert.equal(next.output[0].type, 'message');
    const cut = await client.responses.create({ ...ask, max_output_tokens: 4 });
    assert.equal(cut.status, 'incomplete');
    assert.equal(cut.incomplete_details.reason, 'max_output_tokens');
    assert.equal((await refusal(client.responses.create({ ...ask, previous_response_id: 'resp_1' }))).status, 400);
  },
  async 'an answer keeps to its JSON schema'() {
    const schema = {
      type: 'object', additionalProperties: false, required: ['mood', 'count'],
      properties: { mood: { enum: ['calm', 'loud'] }, count: { type: 'integer' } },
    };
    for (let seed = 0; seed < 10; seed++) {
      const answer = await client.chat.completions.create({ ...noise, seed, max_completion_tokens: 120, response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } } });
      const value = JSON.parse(answer.choices[0].message.content);
      assert.deepEqual(Object.keys(value), ['mood', 'count']);
      assert.ok(['calm', 'loud'].includes(value.mood) && Number.isInteger(value.count));
    }
  },
  async 'embeddings have length 1, however they are sent'() {
    const packed = await client.embeddings.create({ model: 'org/toy', input: ['Once', 'upon a time'] });
    const plain = await client.embeddings.create({ model: 'org/toy', input: ['Once', 'upon a time'], encoding_format: 'float' });
    assert.deepEqual(packed.data.map(({ index }) => index), [0, 1]);
    packed.data.forEach(({ embedding }, i) => {
      assert.ok(Math.abs(embedding.reduce((sum, value) => sum + value * value, 0) - 1) < 1e-5);
      embedding.forEach((value, k) => assert.ok(Math.abs(value - plain.data[i].embedding[k]) < 1e-6));
    });
  },
  async 'moderation says what the filter finds'() {
    const { results } = await client.withOptions({ baseURL: `${filtered}v1` }).moderations.create({ input: ['all is well', 'a forbiddenword'] });
    assert.deepEqual(results.map(({ flagged }) => flagged), [false, true]);
  },
  async 'mistakes are errors of their kind'() {
    const bad = await refusal(client.chat.completions.create({ ...chat, temperature: 3 }));
    assert.ok(bad instanceof OpenAI.BadRequestError);
    assert.equal(bad.param, 'temperature');
    assert.ok(await refusal(client.chat.completions.create({ ...chat, model: 'nobody' })) instanceof OpenAI.NotFoundError);
    assert.ok(await refusal(client.withOptions({ apiKey: 'wrong' }).models.list()) instanceof OpenAI.AuthenticationError);
  },
  async 'a stream that breaks is an error'() {
    const error = await refusal(client.chat.completions.create({ ...chat, model: 'faulty', stream: true }).then(gathered));
    assert.ok(error instanceof OpenAI.APIError, String(error));
  },
  async 'a cancelled stream frees its slot'() {
    const stream = await client.chat.completions.create({ ...noise, max_completion_tokens: 90000, ignore_eos: true, stream: true });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 3) stream.controller.abort();
    const patience = AbortSignal.timeout(30_000);
    while (await metric('onnxllm_num_requests_running{model_name="noise"}') > 0) patience.throwIfAborted();
    assert.equal(await metric('onnxllm_requests_total{model_name="noise",finished_reason="abort"}'), 1);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}: ${error.stack}`);
  }
}
process.exit(failed === 0 ? 0 : 1);
