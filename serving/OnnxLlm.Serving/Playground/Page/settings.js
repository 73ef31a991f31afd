// The sampling controls: what there is, how it is shown, what of it goes into a request.
import { byId, el, memory } from "./dom.js";

const local = () => localStorage;

/** `usual` is what the server does when the field is not sent. */
const Fields = [
  { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05, usual: 0.8, hint: "0 always takes the likeliest token." },
  { name: "max_tokens", label: "Answer length", min: 1, max: 2048, step: 1, usual: 200, hint: "In tokens, at most." },
  { name: "top_p", label: "Top-p", min: 0, max: 1, step: 0.01, usual: 1, hint: "Keep the likeliest tokens that make up this share." },
  { name: "top_k", label: "Top-k", min: 0, max: 200, step: 1, usual: 0, hint: "Keep this many tokens; 0 keeps all." },
  { name: "min_p", label: "Min-p", min: 0, max: 1, step: 0.01, usual: 0, hint: "Drop tokens less likely than this share of the best." },
  { name: "repetition_penalty", label: "Repetition penalty", min: 0.5, max: 2, step: 0.05, usual: 1, more: true },
  { name: "presence_penalty", label: "Presence penalty", min: -2, max: 2, step: 0.1, usual: 0, more: true },
  { name: "frequency_penalty", label: "Frequency penalty", min: -2, max: 2, step: 0.1, usual: 0, more: true },
];

let values = {};

export function build() {
  load();
  const more = el("details", { className: "group" }, el("summary", {}, "Penalties, seed, stop, system"));
  const fields = byId("fields");
  for (const field of Fields) (field.more ? more : fields).append(ranged(field));
  more.append(
    written("seed", "Seed", "The same seed repeats the answer; empty draws one.", { inputMode: "numeric", pattern: "-?[0-9]*" }),
    written("stop", "Stop at", "Up to four, separated by |. \\n is a new line.", {}),
    written("system", "System message", "Stands before a chat.", { rows: 3 }),
  );
  fields.append(more);
  byId("reset").addEventListener("click", reset);
}

/** The largest answer that the model's context can hold. */
export function limitLength(context) {
  const field = Fields.find((known) => known.name === "max_tokens");
  field.max = context;
  for (const kind of ["range", "number"]) byId(`max_tokens-${kind}`).max = context;
  set(field, Math.min(values.max_tokens, context));
}

export const system = () => values.system.trim();

/** The fields of a request that differ from what the server does anyway. */
export function requested() {
  const fields = { temperature: values.temperature, max_tokens: values.max_tokens };
  for (const { name, usual } of Fields) if (values[name] !== usual) fields[name] = values[name];
  if (/^-?\d+$/.test(values.seed)) fields.seed = Number(values.seed);
  const stops = values.stop.split("|").filter((stop) => stop !== "").map((stop) => stop.replaceAll("\\n", "\n"));
  if (stops.length > 0) fields.stop = stops;
  return fields;
}

function load() {
  values = { seed: "", stop: "", system: "" };
  for (const { name, usual } of Fields) values[name] = usual;
  try { Object.assign(values, JSON.parse(memory.get(local, "settings") ?? "{}")); } catch { /* written by something else */ }
}

function keep() {
  memory.set(local, "settings", JSON.stringify(values));
}

function reset() {
  memory.set(local, "settings", "{}");
  load();
  for (const field of Fields) set(field, field.usual);
  for (const name of ["seed", "stop", "system"]) byId(`${name}-text`).value = "";
}

function set(field, value) {
  values[field.name] = value;
  byId(`${field.name}-range`).value = value;
  byId(`${field.name}-number`).value = value;
  keep();
}

/** A slider, and the number beside it for those who know what they want. */
function ranged(field) {
  const { name, label, min, max, step, hint } = field;
  const range = el("input", { type: "range", id: `${name}-range`, min, max, step, "aria-label": label });
  const number = el("input", { type: "number", id: `${name}-number`, min, max, step });
  range.value = number.value = values[name];
  if (hint) number.setAttribute("aria-describedby", `${name}-hint`);
  range.addEventListener("input", () => set(field, Number(range.value)));
  number.addEventListener("change", () => set(field, Math.min(field.max, Math.max(min, Number(number.value) || 0))));
  return el("div", { className: "field" },
    el("div", { className: "field-head" }, el("label", { htmlFor: number.id }, label), number),
    range, hint ? el("p", { className: "hint", id: `${name}-hint` }, hint) : null);
}

function written(name, label, hint, properties) {
  const field = el(properties.rows ? "textarea" : "input", { id: `${name}-text`, value: values[name], spellcheck: false, ...properties });
  if (!properties.rows) field.type = "text";
  field.setAttribute("aria-describedby", `${name}-hint`);
  field.addEventListener("input", () => { values[name] = field.value; keep(); });
  return el("div", { className: "field" },
    el("label", { htmlFor: field.id }, label), field, el("p", { className: "hint", id: `${name}-hint` }, hint));
}
