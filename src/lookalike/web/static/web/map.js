// @ts-check
// The map: wheel and drag move it, a click opens a picture, Shift and a drag pick with a lasso.
import { Drawing } from "./map_drawing.js";
import { picked } from "./picking.js";

const place = /** @type {HTMLElement} */ (document.getElementById("map"));
const canvas = /** @type {HTMLCanvasElement} */ (place.querySelector("canvas"));
const about = /** @type {HTMLElement} */ (place.querySelector(".about"));
const cover = /** @type {HTMLElement} */ (place.querySelector(".cover"));
const lasso = /** @type {SVGPolygonElement} */ (place.querySelector("polygon"));
const LARGEST_ZOOM = 60;

/** @typedef {{x: number, y: number}} Point */

class PictureMap {
  /** @param {{ids: number[], x: number[], y: number[], counts: number[], edge: number, across: number, parts: string[]}} map */
  constructor(map) {
    this.map = map;
    this.drawing = new Drawing(canvas, map);
    const [left, right, top, bottom] = [smallest(map.x), -smallest(map.x.map((x) => -x)), smallest(map.y), -smallest(map.y.map((y) => -y))];
    this.center = { x: (left + right) / 2, y: (top + bottom) / 2 };
    this.span = { width: Math.max(.05, right - left), height: Math.max(.05, bottom - top) };
    this.readAddress();
    this.asked = 0; this.told = -1; this.naming = 0; this.storing = 0;
    if (picked) picked.changed = () => { this.drawing.mark((at) => picked.ids.has(map.ids[at])); this.redraw(); };
    new ResizeObserver(() => this.redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    this.drawing.load(() => this.redraw()).then(() => { place.dataset.ready = "1"; });
  }

  // The address holds what is looked at: ?at=x,y,zoom.
  readAddress() {
    const [x, y, zoom] = (new URLSearchParams(location.search).get("at") || "").split(",").map(Number);
    this.middle = this.center; this.zoom = 1;
    if (zoom >= .5 && zoom <= LARGEST_ZOOM && x >= 0 && x <= 1 && y >= 0 && y <= 1) { this.middle = { x, y }; this.zoom = zoom; }
  }

  writeAddress() {
    clearTimeout(this.storing);
    this.storing = window.setTimeout(() => {
      const asked = new URLSearchParams(location.search);
      asked.set("at", `${this.middle.x.toFixed(4)},${this.middle.y.toFixed(4)},${this.zoom.toFixed(2)}`);
      history.replaceState(null, "", `?${asked}`);
    }, 200);
  }

  /** Pixels from 0 to 1 of the map; at zoom 1 all pictures fit. */
  get size() {
    const { width, height } = this.span;
    return .9 * Math.min(canvas.clientWidth / width, canvas.clientHeight / height) * this.zoom;
  }

  redraw() {
    cancelAnimationFrame(this.asked);
    this.asked = requestAnimationFrame(() => this.drawing.draw(this.middle, this.size));
  }

  /** Place on the map under a place on the canvas. @param {Point} at */
  toMap(at) {
    return { x: this.middle.x + (at.x - canvas.clientWidth / 2) / this.size, y: this.middle.y + (at.y - canvas.clientHeight / 2) / this.size };
  }

  /** @param {number} number */
  toCanvas(number) {
    return { x: (this.map.x[number] - this.middle.x) * this.size + canvas.clientWidth / 2, y: (this.map.y[number] - this.middle.y) * this.size + canvas.clientHeight / 2 };
  }

  /** @param {number} x @param {number} y pixels by which what is seen moves */
  move(x, y) {
    const held = (/** @type {number} */ value) => Math.min(1, Math.max(0, value));
    this.middle = { x: held(this.middle.x - x / this.size), y: held(this.middle.y - y / this.size) };
    this.redraw(); this.writeAddress();
  }

  /** Zoom so that what lies there stays there. @param {number} times @param {Point} [at] */
  zoomBy(times, at = { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 }) {
    const before = this.toMap(at);
    this.zoom = Math.min(LARGEST_ZOOM, Math.max(.8, this.zoom * times));
    const after = this.toMap(at);
    this.move((after.x - before.x) * this.size, (after.y - before.y) * this.size);
  }

  fit() { this.middle = this.center; this.zoom = 1; this.move(0, 0); }

  /** Number of the picture that is seen there, the topmost; -1 for none. @param {Point} at */
  at(at) {
    const half = this.drawing.tileAt(this.size) / 2;
    for (let number = this.map.ids.length - 1; number >= 0; number -= 1) {
      if (this.away(number, at) < half) return number;
    }
    return this.nearest(at, 8);
  }

  /** Pixels between a picture and a place, the larger of across and down. @param {number} number @param {Point} at */
  away(number, at) {
    const { x, y } = this.toCanvas(number);
    return Math.max(Math.abs(x - at.x), Math.abs(y - at.y));
  }

  /** @param {Point} at @param {number} reach pixels */
  nearest(at, reach) {
    let found = -1, best = reach;
    for (let number = 0; number < this.map.ids.length; number += 1) {
      const away = this.away(number, at);
      if (away < best) { best = away; found = number; }
    }
    return found;
  }

  get nearestToMiddle() { return this.nearest({ x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 }, Infinity); }

  /** Show a picture and its name beside it. @param {number} number -1 for none */
  tell(number) {
    if (number === this.told) return;
    this.told = number;
    clearTimeout(this.naming);
    about.hidden = number < 0;
    if (number < 0) return;
    const id = this.map.ids[number];
    const image = /** @type {HTMLImageElement} */ (about.querySelector("img"));
    image.src = address(place.dataset.thumbnail, id);
    const text = /** @type {HTMLElement} */ (about.querySelector("p"));
    text.textContent = " ";
    const at = this.toCanvas(number), gap = this.drawing.tileAt(this.size) / 2 + 8;
    const left = at.x + gap + 190 < canvas.clientWidth ? at.x + gap : at.x - gap - 190;
    about.style.left = `${Math.max(4, Math.min(canvas.clientWidth - 194, left))}px`;
    about.style.top = `${Math.max(4, Math.min(canvas.clientHeight - 240, at.y - 90))}px`;
    this.naming = window.setTimeout(async () => {
      const answer = await fetch(`${place.dataset.names}?ids=${id}`);
      const [found] = answer.ok ? await answer.json() : [];
      if (!found || this.told !== number) return;
      const others = this.map.counts[number] - 1;
      const labels = Object.keys(found.labels).slice(0, 4).join(", ");
      text.textContent = [found.paths[0]?.split("/").pop(), labels, others ? `and ${others} more here` : ""].filter(Boolean).join(" · ");
    }, 80);
  }

  /** @param {number} number */
  open(number) { if (number >= 0) location.assign(address(place.dataset.image, this.map.ids[number])); }

  /** Pick what lies inside a line that was drawn. @param {Point[]} line on the canvas */
  pickInside(line) {
    const corners = line.map((each) => this.toMap(each));
    picked?.add(this.map.ids.filter((_, at) => isInside({ x: this.map.x[at], y: this.map.y[at] }, corners)));
  }
}

/** @param {number[]} values */
function smallest(values) { return values.reduce((least, each) => Math.min(least, each), Infinity); }

/** @param {Point} point @param {Point[]} corners */
function isInside(point, corners) {
  let inside = false;
  corners.forEach((a, at) => {
    const b = corners[(at || corners.length) - 1];
    if (a.y > point.y !== b.y > point.y && point.x < ((b.x - a.x) * (point.y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
  });
  return inside;
}

/** Address of one picture out of that of picture 0. @param {string | undefined} pattern @param {number} id */
function address(pattern, id) { return String(pattern).replace("/i/0/", `/i/${id}/`); }

/** @param {PictureMap} map */
function listen(map) {
  /** @type {Map<number, Point>} */
  const down = new Map();
  /** @type {Point[] | null} */
  let line = null;
  let moved = 0, shift = false;
  const toggle = /** @type {HTMLElement} */ (place.querySelector("[data-lasso]"));
  const here = (/** @type {MouseEvent} */ event) => { const box = canvas.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, here(event));
    moved = 0; shift = event.shiftKey || toggle.getAttribute("aria-pressed") === "true";
    line = shift && down.size === 1 ? [here(event)] : null;
    map.tell(-1);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = here(event), before = down.get(event.pointerId);
    if (!before) { map.tell(event.pointerType === "mouse" ? map.at(at) : -1); return; }
    moved += Math.abs(at.x - before.x) + Math.abs(at.y - before.y);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    if (line) { line.push(at); lasso.setAttribute("points", line.map((each) => `${each.x},${each.y}`).join(" ")); }
    else if (other) map.zoomBy(Math.hypot(at.x - other.x, at.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y)), other);
    else map.move(at.x - before.x, at.y - before.y);
    down.set(event.pointerId, at);
  });
  const up = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId)) return;
    const found = moved < 5 && event.type === "pointerup" ? map.at(here(event)) : -1;
    if (line && moved >= 5) map.pickInside(line);
    else if (found >= 0 && shift) picked?.toggle(map.map.ids[found]);
    else map.open(found);
    line = null; lasso.removeAttribute("points");
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => map.tell(-1));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    map.tell(-1);
    map.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? .05 : .0016)), here(event));
  }, { passive: false });

  toggle.addEventListener("click", () => {
    const on = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(on));
    place.toggleAttribute("data-lassoing", on);
  });
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (place.querySelectorAll("[data-zoom]"))) {
    button.addEventListener("click", () => map.zoomBy(Number(button.dataset.zoom)));
  }
  place.querySelector("[data-fit]")?.addEventListener("click", () => map.fit());

  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowLeft: () => map.move(60, 0), ArrowRight: () => map.move(-60, 0), ArrowUp: () => map.move(0, 60), ArrowDown: () => map.move(0, -60),
    "+": () => map.zoomBy(1.6), "=": () => map.zoomBy(1.6), "-": () => map.zoomBy(.625), 0: () => map.fit(),
    Enter: () => map.open(map.nearestToMiddle), " ": () => picked?.toggle(map.map.ids[map.nearestToMiddle]),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
    map.told = -1; map.tell(map.nearestToMiddle);
  });
  canvas.addEventListener("blur", () => map.tell(-1));
}

async function start() {
  try {
    const answer = await fetch(String(place.dataset.points));
    if (!answer.ok) throw new Error((await answer.text()).slice(0, 200));
    listen(new PictureMap(await answer.json()));
    cover.hidden = true;
  } catch (error) {
    const isOld = error instanceof Error && error.message === "no WebGL2";
    cover.textContent = isOld ? "This browser cannot draw the map (it needs WebGL2). The clusters show the same as a list." : "The map could not be loaded; load the page again.";
    place.dataset.ready = "none";
  }
}
start();
