// The few things that every part of the page does with the document.

export const byId = (id) => document.getElementById(id);

/** An element with properties (or attributes, where there is no such property) and children. */
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Says something to those who cannot see it happen. */
export function announce(text) {
  byId("announcer").textContent = text;
}

export const whole = (number) => Math.round(number).toLocaleString("en-US");

/** 3.1 ms, 240 ms, 1.4 s */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) [count, unit] = [count / 1000, unit + 1];
  return `${count.toFixed(unit === 0 || count >= 100 ? 0 : 1)} ${units[unit]}`;
}

export async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    announce("Copied.");
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => (button.textContent = label), 1500);
}

/** What the browser remembers for this page; nothing where it is not allowed to. */
export const memory = {
  get(store, name) {
    try { return store().getItem(`onnxllm.${name}`); } catch { return null; }
  },
  set(store, name, value) {
    try { store().setItem(`onnxllm.${name}`, value); } catch { /* then it is forgotten */ }
  },
};
