// A small line chart of the last minute, as SVG, with its meaning in words.

const Space = "http://www.w3.org/2000/svg";
const [Width, Height, Top, Seconds] = [320, 62, 8, 60];

export class Chart {
  #svg = make("svg", { viewBox: `0 0 ${Width} ${Height}`, preserveAspectRatio: "none", role: "img" });
  #scale = document.createElement("span");
  #limit;

  /** `names` are of one or two lines; `limit` is the top of the scale where it is fixed. */
  constructor(title, names, { limit = null, unit = "" } = {}) {
    Object.assign(this, { title, names, unit, points: names.map(() => Array(Seconds + 1).fill(0)) });
    this.#limit = limit;
    this.#scale.className = "peak";
    this.figure = document.createElement("figure");
    this.figure.className = "chart";
    this.figure.append(this.#caption(), this.#svg);
    this.#draw();
  }

  /** Adds a second; the oldest goes. */
  push(...values) {
    values.forEach((value, line) => {
      const points = this.points[line];
      points.push(value);
      points.shift();
    });
    this.#draw();
  }

  #caption() {
    const caption = document.createElement("figcaption");
    const title = document.createElement("b");
    title.textContent = this.title;
    caption.append(title);
    if (this.names.length > 1) caption.append(...this.names.map((name, i) => {
      const key = document.createElement("span");
      key.className = i === 0 ? "key" : "key second";
      key.textContent = name;
      return key;
    }));
    caption.append(this.#scale);
    return caption;
  }

  #draw() {
    const peak = Math.max(...this.points.flat());
    const top = this.#limit ?? Math.max(1, peak);
    const parts = [make("line", { class: "rule", x1: 0, x2: Width, y1: Top, y2: Top })];
    this.points.forEach((points, line) => {
      const path = points.map((value, i) => `${x(i)},${y(value, top)}`).join(" ");
      const last = line === 0 ? "" : " second";
      if (line === 0) parts.push(make("polygon", { class: "area", points: `0,${Height} ${path} ${Width},${Height}` }));
      parts.push(make("polyline", { class: `line${last}`, points: path }));
    });
    this.#svg.replaceChildren(...parts);
    this.#scale.textContent = `peak ${format(peak)}${this.unit}`;
    this.#svg.setAttribute("aria-label", `${this.title}, last minute: ${this.names.map((name, i) => `${name} now ${format(this.points[i].at(-1))}${this.unit}`).join(", ")}; peak ${format(peak)}${this.unit}`);
  }
}

const x = (second) => ((second / Seconds) * Width).toFixed(1);

const y = (value, top) => (Height - 2 - (Math.min(value, top) / top) * (Height - 2 - Top)).toFixed(1);

const format = (value) => (value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en-US") : value.toFixed(1));

function make(name, attributes) {
  const made = document.createElementNS(Space, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
