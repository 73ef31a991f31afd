// The conversation: turns, the answer as it grows, stop, try again.
import { announce, byId, copy, el } from "./dom.js";
import { Generation, room } from "./generation.js";
import { requested, system } from "./settings.js";

const Examples = ["Tell me about the state of the union.", "What should the government do next?", "Write a short story about a small server."];

const ShortestAnswer = 48;

let turns = [];
let running = null;
let model = () => null;

export function build(currentModel) {
  model = currentModel;
  const [form, field] = [byId("chat-form"), byId("message")];
  form.addEventListener("submit", (event) => { event.preventDefault(); send(field.value); });
  field.addEventListener("input", () => grow(field));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  byId("chat-stop").addEventListener("click", () => running?.stop());
  byId("chat-clear").addEventListener("click", clear);
  byId("chat-examples").append(...Examples.map((text) => el("button", { type: "button", onclick: () => send(text) }, text)));
}

export const stop = () => running?.stop();

/** Without a template the model continues texts but holds no conversations. */
export function describe(card) {
  const possible = card.chat_template !== null;
  byId("message").disabled = byId("chat-send").disabled = !possible;
  byId("chat-examples").hidden = !possible;
  byId("chat-hint").textContent = possible
    ? "Answers are generated on this server and stream as they come."
    : "This is a base model: it continues texts but knows no conversations. Use Completion, or start the server with --chat-template plain.";
  return possible;
}

/** What would be sent, for the shell. */
export const body = (text) => ({ model: model().id, messages: messages([...turns, { role: "user", content: text }]), ...requested() });

const messages = (of) => [...(system() ? [{ role: "system", content: system() }] : []), ...of];

/** The request as it fits into the context: without the oldest turns if need be, and with an answer no longer than what is left. */
async function fitting() {
  const fields = requested();
  for (let left = 0; ; left += 2) {
    const request = { model: model().id, messages: messages(turns.slice(left)) };
    const free = await room(request);
    if (free < Math.min(fields.max_tokens, ShortestAnswer) && left + 2 < turns.length) continue;
    return { left, request: { ...request, ...fields, max_tokens: Math.min(fields.max_tokens, free) } };
  }
}

async function send(text) {
  if (running || text.trim() === "" || !model()) return;
  const field = byId("message");
  field.value = "";
  grow(field);
  byId("chat-empty").hidden = true;
  turns.push({ role: "user", content: text });
  byId("log").append(turn("user", "You", text).item);
  await answer();
  field.focus();
}

async function answer() {
  const shown = turn("assistant", model().id, "");
  byId("log").append(shown.item);
  const generation = (running = new Generation());
  busy(shown, true);
  try {
    const { left, request } = await fitting();
    await generation.run("v1/chat/completions", request, () => {
      shown.text.textContent = generation.text.trimStart();
      follow();
    });
    finish(shown, generation, left);
  } catch (fault) {
    fail(shown, fault, generation);
  } finally {
    running = null;
    busy(shown, false);
    follow();
  }
}

function finish(shown, generation, left) {
  turns.push({ role: "assistant", content: generation.text.trim() });
  const summary = [...generation.summary(), ...(left > 0 ? [`first ${left} turns left out, the context is full`] : [])];
  shown.meta.append(...summary.map((part) => el("span", {}, part)));
  const copied = el("button", { type: "button", className: "plain" }, "Copy");
  copied.addEventListener("click", () => copy(generation.text, copied));
  const again = el("button", { type: "button", className: "plain again" }, "Try again");
  again.addEventListener("click", () => retry(shown));
  document.querySelectorAll(".again").forEach((old) => old.remove());
  shown.meta.append(copied, again);
  announce(`${generation.text} – ${summary.join(", ")}.`);
}

function fail(shown, fault, generation) {
  if (generation.text === "") shown.text.remove();
  shown.meta.remove();
  const again = el("button", { type: "button", className: "plain again" }, "Try again");
  again.addEventListener("click", () => retry(shown));
  shown.item.append(
    el("div", { className: "fault", role: "alert" }, el("strong", {}, fault.code ?? "Error"), fault.message),
    el("p", { className: "meta" }, again));
}

/** Asks the last question once more. */
async function retry(shown) {
  if (running) return;
  if (turns.at(-1)?.role === "assistant") turns.pop();
  shown.item.remove();
  byId("message").focus();
  await answer();
}

function clear() {
  running?.stop();
  turns = [];
  byId("log").replaceChildren();
  byId("chat-empty").hidden = false;
  byId("message").focus();
  announce("New chat.");
}

function turn(role, who, text) {
  const parts = { text: el("div", { className: "text" }, text), meta: el("p", { className: "meta" }) };
  const item = el("li", { className: `turn ${role}` }, el("span", { className: role === "user" ? "quiet" : "who" }, who), parts.text);
  if (role === "assistant") item.append(parts.meta);
  return { item, ...parts };
}

function busy(shown, is) {
  shown.item.setAttribute("aria-busy", is);
  shown.text.classList.toggle("busy", is);
  byId("chat-stop").hidden = !is;
  byId("chat-send").hidden = is;
  if (is) announce("The model is answering.");
}

/** Keeps the end in view unless the reader has scrolled away from it. */
function follow() {
  const scroll = byId("chat-scroll");
  if (scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 160) scroll.scrollTop = scroll.scrollHeight;
}

function grow(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
