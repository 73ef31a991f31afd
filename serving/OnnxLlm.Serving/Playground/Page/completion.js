// A text that the model continues, with the probabilities of its tokens where they are asked for.
import { announce, byId, el } from "./dom.js";
import { Generation, room } from "./generation.js";
import { requested } from "./settings.js";

const Examples = ["The people of the United States", "Once upon a time", "My fellow citizens, the year that has"];
const Alternatives = 5;

let running = null;
let model = () => null;

export function build(currentModel) {
  model = currentModel;
  byId("completion-form").addEventListener("submit", (event) => { event.preventDefault(); complete(); });
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("completion-form").requestSubmit();
  });
  byId("completion-stop").addEventListener("click", stop);
  byId("completion-more").addEventListener("click", () => {
    byId("prompt").value = byId("paper").textContent;
    complete();
  });
  byId("completion-examples").append(...Examples.map((text) => el("button", { type: "button", onclick: () => { byId("prompt").value = text; complete(); } }, text)));
}

export const stop = () => running?.stop();

export const body = () => ({
  model: model().id, prompt: byId("prompt").value, ...requested(), ...(byId("show-odds").checked ? { logprobs: Alternatives } : {}),
});

async function complete() {
  if (running || !model()) return;
  const generation = (running = new Generation());
  const answer = el("span", { className: "busy" });
  byId("paper").replaceChildren(el("span", { className: "given" }, byId("prompt").value), answer);
  byId("completion-result").hidden = false;
  byId("odds").hidden = true;
  const tokens = [];
  busy(true);
  try {
    const request = body();
    const free = await room({ model: request.model, prompt: request.prompt });
    await generation.run("v1/completions", { ...request, max_tokens: Math.min(request.max_tokens, free) }, (choice) => {
      if (choice.logprobs) addTokens(answer, tokens, choice.logprobs);
      else answer.append(choice.text);
    });
    byId("completion-meta").replaceChildren(...generation.summary().map((part) => el("span", {}, part)));
    if (tokens.length > 0) choose(tokens, tokens[0]);
    announce(`${generation.text} – ${generation.summary().join(", ")}.`);
  } catch (fault) {
    byId("completion-meta").replaceChildren(el("span", { className: "fault", role: "alert" }, el("strong", {}, fault.code ?? "Error"), fault.message));
  } finally {
    running = null;
    answer.classList.remove("busy");
    busy(false);
    byId("completion-more").hidden = generation.text === "";
  }
}

function busy(is) {
  byId("completion-stop").hidden = !is;
  byId("completion-send").hidden = is;
  byId("completion-more").hidden = true;
  if (is) byId("completion-meta").textContent = "Writing …";
}

/** Tokens that one can walk through with the arrow keys: the less likely, the more colour. */
function addTokens(answer, tokens, scores) {
  if (tokens.length === 0) {
    answer.setAttribute("role", "listbox");
    answer.setAttribute("aria-label", "Tokens; arrow keys show the alternatives of each");
  }
  scores.tokens.forEach((text, i) => {
    const chance = Math.exp(scores.token_logprobs[i] ?? 0);
    const token = el("span", { className: "token", role: "option", tabIndex: -1, "aria-selected": "false" }, text);
    token.style.setProperty("--doubt", (1 - chance).toFixed(3));
    Object.assign(token, { chance, alternatives: scores.top_logprobs[i] ?? {} });
    token.addEventListener("click", () => choose(tokens, token, true));
    token.addEventListener("keydown", (event) => walk(event, tokens, token));
    tokens.push(token);
    answer.append(token);
  });
}

function walk(event, tokens, token) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = tokens[tokens.indexOf(token) + step];
  if (next) choose(tokens, next, true);
}

function choose(tokens, token, focus = false) {
  for (const other of tokens) {
    other.setAttribute("aria-selected", other === token);
    other.tabIndex = other === token ? 0 : -1;
  }
  if (focus) token.focus();
  const rows = Object.entries(token.alternatives).sort((a, b) => b[1] - a[1]).map(([text, score]) => row(text, Math.exp(score), text === token.textContent));
  byId("odds").replaceChildren(el("table", {}, el("caption", {}, "What could have stood here"), el("tbody", {}, ...rows)));
  byId("odds").hidden = false;
}

function row(text, chance, chosen) {
  const percent = `${(100 * chance).toFixed(1)} %`;
  return el("tr", {},
    el("th", { scope: "row" }, el("code", {}, JSON.stringify(text).slice(1, -1)), chosen ? " chosen" : ""),
    el("td", {}, el("meter", { min: 0, max: 1, value: chance, "aria-label": percent })), el("td", {}, percent));
}
