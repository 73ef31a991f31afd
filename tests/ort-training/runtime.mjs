// The genuine ORT Training runtime, as its WebAssembly build in the npm package onnxruntime-web 1.19.2 brings it to Node.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const dist = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));

/** Memory of the WebAssembly module, caught while it is made: the only way to the text of an error. */
let memory;

const instantiate = WebAssembly.instantiate;
WebAssembly.instantiate = async (source, imports) => {
  const made = await instantiate(source, imports);
  const values = [...Object.values(imports).flatMap(Object.values), ...Object.values((made.instance ?? made).exports)];
  memory = values.find((value) => value instanceof WebAssembly.Memory);
  return made;
};

/**
 * What went wrong. A C++ exception arrives as the address of an object; among the words of that object is a pointer to its message,
 * which is the longest text that any of them points at.
 */
export function describe(error) {
  if (typeof error !== 'number' || !memory) return String(error?.message ?? error);
  const bytes = new Uint8Array(memory.buffer);
  const words = new Uint32Array(memory.buffer, error & ~3, 32);
  const texts = [...words].map((address) => textAt(bytes, address)).sort((a, b) => b.length - a.length);
  return texts[0] || `C++ exception at ${error}`;
}

function textAt(bytes, start) {
  const printable = (b) => b >= 32 || b === 9 || b === 10;
  let end = start;
  while (start > 1024 && end < bytes.length && end - start < 4000 && printable(bytes[end])) end++;
  return bytes[end] === 0 ? Buffer.from(bytes.slice(start, end)).toString() : '';
}

/** Opens the four files of a folder. */
export async function open(folder) {
  // The package hides its training entry from Node, so the file is named; more threads than one would need a worker that Node cannot load.
  const ort = await import(pathToFileURL(join(dist, 'ort.training.wasm.min.mjs')));
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const file = (name) => new Uint8Array(readFileSync(join(folder, name)));
  const session = await ort.TrainingSession.create({
    trainModel: file('training_model.onnx'),
    evalModel: file('eval_model.onnx'),
    optimizerModel: file('optimizer_model.onnx'),
    checkpointState: file('checkpoint'),
  }, { logSeverityLevel: 3 });
  return new Trainer(ort, session);
}

/** The session with tensors as plain objects { type, dims, data }, by position. */
class Trainer {
  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
  }

  train(inputs) {
    return this.#run('runTrainStep', this.session.trainingInputNames, inputs);
  }

  evaluate(inputs) {
    return this.#run('runEvalStep', this.session.evalInputNames, inputs);
  }

  update() {
    return this.session.runOptimizerStep();
  }

  reset() {
    return this.session.lazyResetGrad();
  }

  /** All parameters, in the order of the training model's inputs. */
  async parameters() {
    return (await this.session.getContiguousParameters(false)).data;
  }

  /** Feeds are taken in the order of their keys, and results given in the order of the model's outputs, whatever they are called. */
  async #run(method, names, inputs) {
    if (names.length !== inputs.length) throw new Error(`the model takes ${names.join(', ')}, got ${inputs.length} inputs`);
    const feeds = Object.fromEntries(inputs.map((tensor, i) => [names[i], this.#tensor(tensor)]));
    const results = await this.session[method](feeds);
    return Object.values(results).map((tensor) => Array.from(tensor.data, Number));
  }

  #tensor({ type, dims, data }) {
    return new this.ort.Tensor(type, type === 'int64' ? BigInt64Array.from(data, BigInt) : Float32Array.from(data), dims);
  }
}
