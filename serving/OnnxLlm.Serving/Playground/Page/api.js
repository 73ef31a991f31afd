// How the page speaks to the server: with the key, and with the errors that the API describes.
import { memory } from "./dom.js";

const session = () => sessionStorage;
let key = memory.get(session, "key") ?? "";
const asks = new EventTarget();

export class Refused extends Error {
  constructor(status, message, code) {
    super(message);
    Object.assign(this, { status, code });
  }
}

export const hasKey = () => key !== "";

export function useKey(value) {
  key = value.trim();
  memory.set(session, "key", key);
  asks.dispatchEvent(new Event("key"));
}

/** Called whenever another key is used. */
export const onKey = (handler) => asks.addEventListener("key", handler);

/** Called when the server wants a key, or another one. */
export const onKeyWanted = (handler) => asks.addEventListener("wanted", handler);

const headers = () => (key ? { Authorization: `Bearer ${key}` } : {});

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers(), ...options?.headers } });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Refused(0, "The server cannot be reached.", "no_connection");
  }
  if (response.ok) return response;
  if (response.status === 401) asks.dispatchEvent(new Event("wanted"));
  throw await refusal(response);
}

async function refusal(response) {
  try {
    const { error } = await response.json();
    return new Refused(response.status, error.message, error.code ?? error.type);
  } catch {
    return new Refused(response.status, `The server answered ${response.status}.`, null);
  }
}

export async function getJson(path) {
  return (await request(path)).json();
}

export async function postJson(path, body) {
  return (await request(path, sent(body))).json();
}

const sent = (body) => ({ method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/** Server-sent events of a request as objects; ends with [DONE] or with the stream. */
export async function* events(path, body, signal) {
  const response = await request(path, { ...(body ? sent(body) : {}), signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (!part.startsWith("data: ")) continue; // a sign of life
      const data = part.slice(6);
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Refused(500, event.error.message, event.error.code);
      yield event;
    }
  }
}
