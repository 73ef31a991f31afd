// What the server is doing: a stream of its counters, every second, as numbers and charts.
import { events } from "./api.js";
import { Chart } from "./chart.js";
import { byId, bytes, duration, el, whole } from "./dom.js";

const Retry = 2000;
const charts = {
  speed: new Chart("Tokens/s", ["written", "read"]),
  queue: new Chart("Requests", ["running", "waiting"]),
  cache: new Chart("Cache", ["slots", "prompt reused"], { limit: 100, unit: " %" }),
};
const tiles = {};
let before = null;
let model = () => null;
let told = () => {};

export function build(currentModel, tell) {
  [model, told] = [currentModel, tell];
  const list = el("dl", { className: "tiles" });
  for (const name of ["Speed", "Running", "Waiting", "First token", "Per token", "From cache"]) {
    tiles[name] = el("dd", {}, "–");
    list.append(el("div", { className: "tile" }, el("dt", {}, name), tiles[name]));
  }
  tiles.note = el("p", { className: "footnote" });
  byId("live").append(list, ...Object.values(charts).map((chart) => chart.figure), tiles.note);
}

/** Watches until the page goes; `told` hears each state, and null when the server is lost. */
export async function watch() {
  for (;;) {
    try {
      for await (const state of events("playground/live")) take(state);
      told(null);
    } catch (fault) {
      told(fault);
      if (fault.status === 401) return;
    }
    before = null;
    await new Promise((resolve) => setTimeout(resolve, Retry));
  }
}

/** The next state is another model's: differences to the last mean nothing. */
export function forget() {
  before = null;
}

function take(state) {
  told(state);
  const now = state.models.find(({ id }) => id === model()?.id);
  if (!now) return;
  const seen = before;
  before = { seconds: state.seconds, ...now };
  if (!seen) return;
  const rates = differences(seen, before);
  charts.speed.push(rates.written, rates.read);
  charts.queue.push(now.running, now.waiting);
  charts.cache.push(now.slots ? (100 * now.running) / now.slots : 0, rates.reused);
  showTiles(now, rates);
}

function differences(seen, now) {
  const seconds = now.seconds - seen.seconds;
  const grown = (name) => now[name] - seen[name];
  return {
    written: grown("generation_tokens") / seconds,
    read: grown("prompt_tokens") / seconds,
    reused: grown("prefix_queries") > 0 ? (100 * grown("prefix_hits")) / grown("prefix_queries") : 0,
  };
}

function showTiles(now, rates) {
  tile("Speed", whole(rates.written), "tok/s");
  tile("Running", now.running, `of ${now.slots}`);
  tile("Waiting", now.waiting, "");
  tile("First token", duration(now.first_token.sum / now.first_token.count), "");
  tile("Per token", duration(now.inter_token.sum / now.inter_token.count), "");
  const asked = now.response_hits + now.response_misses;
  tile("From cache", asked ? `${whole((100 * now.response_hits) / asked)} %` : "–", "");
  tiles.note.textContent = `${whole(now.prompt_tokens)} tokens read and ${whole(now.generation_tokens)} written since the start; ${bytes(now.prefix_bytes)} of read prompts kept.`;
}

function tile(name, value, unit) {
  tiles[name].replaceChildren(String(value), ...(unit ? [el("small", {}, unit)] : []));
}
