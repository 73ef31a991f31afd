// Puts the parts together: models, tabs, drawers, theme, key, code.
import { getJson, hasKey, onKey, onKeyWanted, useKey } from "./api.js";
import * as card from "./card.js";
import * as chat from "./chat.js";
import * as completion from "./completion.js";
import { byId, copy, el, memory } from "./dom.js";
import * as live from "./live.js";
import * as settings from "./settings.js";

const Themes = ["system", "light", "dark"];
const local = () => localStorage;
let models = [];
let watching = false;

const current = () => models.find(({ id }) => id === byId("model").value) ?? models[0] ?? null;

// Models

async function load() {
  try {
    models = (await getJson("playground/models")).models;
  } catch (fault) {
    health("bad", fault.status === 401 ? "key needed" : "offline");
    if (fault.status !== 401) setTimeout(load, 2000);
    return;
  }
  byId("model").replaceChildren(...models.map(({ id }) => el("option", { value: id }, id)));
  use();
  if (!watching) watch();
}

function use() {
  const model = current();
  if (!model) return health("bad", "no model");
  card.show(model);
  settings.limitLength(model.context);
  live.forget();
  document.querySelectorAll("[data-model-name]").forEach((place) => (place.textContent = model.id));
  if (!chat.describe(model)) select(byId("tab-completion"));
}

async function watch() {
  watching = true;
  await live.watch();
  watching = false;
}

function heard(state) {
  if (!state || state instanceof Error) return health("bad", "offline");
  const now = state.models.find(({ id }) => id === current()?.id);
  if (state.draining) health("warn", "shutting down");
  else if (now?.state !== "ok") health("bad", now?.state ?? "no model");
  else health("ok", now.running > 0 ? "answering" : "ready");
}

function health(state, text) {
  byId("health").dataset.state = state;
  if (byId("health-text").textContent !== text) byId("health-text").textContent = text;
  byId("health").title = text;
}

// Tabs, by the keys that people expect of them

const tabs = [...document.querySelectorAll("[role=tab]")];

function select(tab, focus = false) {
  for (const other of tabs) {
    other.setAttribute("aria-selected", other === tab);
    other.tabIndex = other === tab ? 0 : -1;
    byId(other.getAttribute("aria-controls")).hidden = other !== tab;
  }
  if (focus) tab.focus();
}

function buildTabs() {
  for (const tab of tabs) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) select(tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length], true);
    });
  }
}

// Drawers of narrow windows

function drawer(name, open) {
  byId(name).classList.toggle("open", open);
  byId(`open-${name}`).setAttribute("aria-expanded", open);
  if (open) byId(name).querySelector(".close").focus();
  else byId(`open-${name}`).focus();
}

function buildDrawers() {
  for (const name of ["settings", "side"]) {
    byId(`open-${name}`).addEventListener("click", () => drawer(name, !byId(name).classList.contains("open")));
    document.querySelector(`[data-close=${name}]`).addEventListener("click", () => drawer(name, false));
  }
  byId("settings").addEventListener("submit", (event) => event.preventDefault());
}

function escape() {
  const open = ["settings", "side"].find((name) => byId(name).classList.contains("open"));
  if (open) return drawer(open, false);
  chat.stop();
  completion.stop();
}

// Theme

function theme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").textContent = { system: "◐", light: "☀", dark: "☾" }[name];
  byId("theme").setAttribute("aria-label", `Colours: ${name === "system" ? "as the system" : name}`);
  byId("theme").title = byId("theme").getAttribute("aria-label");
  memory.set(local, "theme", name);
}

function buildTheme() {
  const known = memory.get(local, "theme");
  theme(Themes.includes(known) ? known : "system");
  byId("theme").addEventListener("click", () => theme(Themes[(Themes.indexOf(document.documentElement.dataset.theme) + 1) % Themes.length]));
}

// Key and code

function buildKey() {
  const [dialog, field] = [byId("key-dialog"), byId("key")];
  const ask = (why) => {
    byId("key-why").textContent = why;
    if (!dialog.open) dialog.showModal();
    field.focus();
  };
  byId("open-key").addEventListener("click", () => ask("Kept in this tab only, and sent to this server only."));
  onKeyWanted(() => ask(hasKey() ? "The server does not accept this key. Another one?" : "This server wants an API key. It is kept in this tab only."));
  byId("key-form").addEventListener("submit", () => useKey(field.value));
  byId("key-cancel").addEventListener("click", () => dialog.close());
  onKey(load);
}

function buildCode() {
  const dialog = byId("code-dialog");
  byId("open-code").addEventListener("click", () => {
    const isChat = byId("tab-chat").getAttribute("aria-selected") === "true";
    byId("code").textContent = shell(isChat ? "v1/chat/completions" : "v1/completions", isChat ? chat.body(byId("message").value || "Hello") : completion.body());
    dialog.showModal();
  });
  byId("code-close").addEventListener("click", () => dialog.close());
  byId("code-copy").addEventListener("click", () => copy(byId("code").textContent, byId("code-copy")));
}

function shell(path, body) {
  const json = JSON.stringify({ ...body, stream: true }, null, 2).replaceAll("'", "'\\''");
  const key = hasKey() ? " \\\n  -H \"Authorization: Bearer $ONNXLLM_API_KEY\"" : "";
  return `curl -N ${new URL(path, document.baseURI)} \\\n  -H 'Content-Type: application/json'${key} \\\n  -d '${json}'`;
}

settings.build();
chat.build(current);
completion.build(current);
live.build(current, heard);
buildTabs();
buildDrawers();
buildTheme();
buildKey();
buildCode();
byId("model").addEventListener("change", use);
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !document.querySelector("dialog[open]")) escape(); });
load();
