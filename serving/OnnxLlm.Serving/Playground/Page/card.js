// What is known about the model: its size and kind, and what quantization gained and cost.
import { byId, bytes, el, whole } from "./dom.js";

export function show(card) {
  const quantized = card.quantization;
  byId("card").replaceChildren(
    el("p", { className: "name" }, card.id),
    el("p", { className: "badges" },
      card.parameters ? el("span", { className: "badge" }, `${count(card.parameters)} parameters`) : null,
      el("span", { className: "badge accent" }, card.precision.toUpperCase()),
      el("span", { className: "badge" }, card.chat_template ? `chat: ${card.chat_template}` : "base model")),
    ...(quantized ? comparison(quantized) : [el("p", { className: "footnote" }, "Not quantized: the weights are as trained.")]),
    el("details", { className: "more" }, el("summary", {}, "More about it"), facts({
      Context: `${whole(card.context)} tokens`,
      Vocabulary: `${whole(card.vocabulary)} tokens`,
      "Answers at once": card.slots,
      Provider: card.provider.replace("ExecutionProvider", ""),
      "ONNX Runtime": card.runtime,
      Written: new Date(card.created * 1000).toISOString().slice(0, 10),
      Fingerprint: card.fingerprint,
    }), quantized ? el("p", { className: "footnote" }, notes(quantized)) : null));
}

function count(parameters) {
  const [size, unit] = parameters >= 1e9 ? [1e9, "B"] : parameters >= 1e6 ? [1e6, "M"] : [1e3, "k"];
  return `${(parameters / size).toFixed(1)} ${unit}`;
}

function facts(entries) {
  return el("dl", { className: "facts" }, ...Object.entries(entries).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
}

function comparison({ float_bytes, quantized_bytes, kv_cache, quality, speed }) {
  const [measured] = speed ?? [];
  const rows = [
    row("File size", bytes(float_bytes), bytes(quantized_bytes), percent(quantized_bytes / float_bytes - 1), true),
    kv_cache && row("Cache, a token", bytes(kv_cache.float_bytes_per_token), bytes(kv_cache.bytes_per_token), percent(kv_cache.bytes_per_token / kv_cache.float_bytes_per_token - 1), true),
    quality && row("Perplexity", quality.float_perplexity.toFixed(2), quality.quantized_perplexity.toFixed(2), percent(quality.perplexity_loss), quality.perplexity_loss <= 0.001),
    measured && row("Decode, tok/s", whole(measured.float_decode), whole(measured.quantized_decode), ...times(measured.quantized_decode / measured.float_decode)),
    measured && row("Prefill, tok/s", whole(measured.float_prefill), whole(measured.quantized_prefill), ...times(measured.quantized_prefill / measured.float_prefill)),
  ];
  return [el("table", { className: "compare" }, el("caption", {}, "What INT8 gained and cost"),
      el("thead", {}, el("tr", {}, el("td", {}), ...["float32", "INT8", "change"].map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, ...rows.filter(Boolean)))];
}

function percent(ratio) {
  const digits = Math.abs(ratio) >= 0.1 ? 0 : 2;
  const text = Math.abs(100 * ratio).toFixed(digits);
  return `${Number(text) === 0 ? "±" : ratio > 0 ? "+" : "−"}${text} %`;
}

const times = (ratio) => [`${ratio.toFixed(2)}×`, ratio >= 1];

function row(name, before, after, change, isGain) {
  return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, before), el("td", {}, after), el("td", { className: isGain ? "gain" : "loss" }, change));
}

function notes({ quality, speed, bits, block }) {
  const [measured] = speed ?? [];
  const parts = [`${bits} bits, a scale per ${block} weights.`];
  if (quality) parts.push(`Same likeliest token for ${(100 * quality.top1_agreement).toFixed(2)} % of ${whole(quality.tokens)} held-out tokens; growth of perplexity up to ${100 * quality.max_perplexity_loss} % was allowed.`);
  if (measured) parts.push(`Speeds were measured with one sequence and ${measured.threads} threads where the model was quantized.`);
  return parts.join(" ");
}
