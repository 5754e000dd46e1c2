// @ts-check
// The search page: a picture that is dropped, pasted or chosen becomes an example; sliders search
// again after a moment; the layout of each hit can be laid over it.
import { ColorGrid, ColorShares } from "./colors.js";
import { CropDialog } from "./crop.js";
import { LayoutCanvas } from "./layout.js";
import { say } from "./page.js";
import { patiently } from "./patience.js";
import { SketchPad } from "./sketch.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("ask"));
const drop = /** @type {HTMLElement} */ (document.getElementById("drop"));
const picker = /** @type {HTMLInputElement} */ (document.getElementById("pick"));

/** What the page asks for, as it goes into the address. @param {string} [example] one more liked */
function ask(example) {
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && value && value !== "0" && !/^(paint|box|color|pen)-/.test(name)) asked.append(name, value);
  }
  if (example) asked.append("like", example);
  const sliders = [...weightSliders()];
  // Where one weight is given, those that are not given are none. Words alone say nothing of what is not moved.
  const isAll = sliders.some((slider) => slider.dataset.moved) && (asked.has("like") || asked.has("round"));
  for (const slider of sliders) {
    if (slider.dataset.moved || (isAll && slider.value !== "0")) asked.append("w", `${slider.dataset.weight}:${slider.value}`);
  }
  return asked;
}

function weightSliders() {
  return /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[data-weight]"));
}

/** Send a picture; gives what it is called from now on. @param {Blob} picture @param {string} name */
async function send(picture, name) {
  const body = new FormData();
  body.append("picture", picture, name);
  const token = document.body.getAttribute("hx-headers:inherited") || "{}";
  try {
    const answer = await patiently(String(form.dataset.upload), { method: "POST", body, headers: JSON.parse(token) });
    const content = await answer.json();
    if (answer.ok) return String(content.example);
    say(content.error || "The picture could not be read.");
  } catch { say("The picture could not be sent; is the server still there?"); }
  return null;
}

/** Send a picture and search with it. @param {File} file */
async function submitPicture(file) {
  if (!file.type.startsWith("image/")) { say(`${file.name || "That"} is no picture.`); return; }
  say("Looking at the picture …");
  const example = await send(file, file.name || "picture");
  if (example) location.search = ask(example).toString();
}

const pick = () => { if (picker.files?.[0]) submitPicture(picker.files[0]); };
picker.addEventListener("change", pick);

let depth = 0;
addEventListener("dragenter", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  depth += 1; drop.hidden = false; event.preventDefault();
});
addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); drop.hidden = depth === 0; });
addEventListener("dragover", (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
addEventListener("drop", (event) => {
  depth = 0; drop.hidden = true;
  const file = event.dataTransfer?.files[0];
  if (file) { event.preventDefault(); submitPicture(file); }
});
addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files || [])].find((each) => each.type.startsWith("image/"));
  if (file) { event.preventDefault(); submitPicture(file); }
});

form.addEventListener("submit", (event) => {
  event.preventDefault(); event.stopImmediatePropagation();
  location.search = ask().toString();
}, true);

let timer = 0;
/** Search again in a moment, if nothing else is changed until then. */
function soon() { clearTimeout(timer); timer = window.setTimeout(again, 150); }

/** Whether a control is no longer as the server gave it. @param {HTMLInputElement | HTMLSelectElement} control */
function isChanged(control) {
  if (control instanceof HTMLSelectElement) {
    return control.selectedIndex !== Math.max(0, [...control.options].findIndex((each) => each.defaultSelected));
  }
  return control.type === "checkbox" ? control.checked !== control.defaultChecked : control.value !== control.defaultValue;
}

for (const control of /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement>} */ (form.querySelectorAll("[data-weight], [data-again]"))) {
  const follow = () => {
    if (control.nextElementSibling instanceof HTMLOutputElement) control.nextElementSibling.textContent = control.value;
    if (control.dataset.weight) control.dataset.moved = "1";
    soon();
  };
  control.addEventListener("input", follow);
  // A quick hand may have moved it before this module ran.
  if (isChanged(control)) follow();
}

let running = new AbortController();
/** Search again in place; the address follows. */
async function again() {
  const asked = ask();
  running.abort(); running = new AbortController();
  const { signal } = running;
  const address = `${location.pathname}?${asked}`;
  const place = /** @type {HTMLElement} */ (document.getElementById("hits"));
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await patiently(address, { headers: { "HX-Target": "hits", "HX-Request": "true" }, signal });
    if (answer.status === 503) { say("The server is still busy; try again in a moment."); return; }
    place.innerHTML = await answer.text();
    /** @type {any} */ (window).htmx?.process(place);
    history.replaceState(null, "", address);
    showLayouts();
  } catch (error) {
    if (error instanceof DOMException) return;
    throw error;
  } finally { if (!signal.aborted) place.removeAttribute("aria-busy"); }
}

for (const button of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-panel]"))) {
  button.addEventListener("click", () => {
    const panel = /** @type {HTMLElement} */ (document.getElementById(String(button.dataset.panel)));
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
  });
}

const easel = /** @type {HTMLElement | null} */ (document.getElementById("panel-layout"));
if (easel) {
  const painted = /** @type {HTMLInputElement} */ (easel.querySelector("[name=map]"));
  const canvas = new LayoutCanvas(easel, (text) => { painted.value = text; soon(); });
  if (painted.value) canvas.read(painted.value);
}

const colors = document.getElementById("panel-colors");
if (colors) {
  const shares = /** @type {HTMLInputElement} */ (colors.querySelector("[name=colors]"));
  const listed = new ColorShares(/** @type {HTMLElement} */ (colors.querySelector(".shares")), (text) => { shares.value = text; soon(); });
  if (shares.value) listed.read(shares.value);
  const cells = /** @type {HTMLInputElement} */ (colors.querySelector("[name=cells]"));
  const grid = new ColorGrid(/** @type {HTMLElement} */ (colors.querySelector(".where")), (text) => { cells.value = text; soon(); });
  if (cells.value) grid.read(cells.value);
}

const pad = document.getElementById("panel-sketch");
if (pad) {
  const drawn = /** @type {HTMLInputElement} */ (pad.querySelector("[name=sketch]"));
  let last = 0;
  const take = async (/** @type {Blob | null} */ picture) => {
    const turn = last += 1;
    const example = picture ? await send(picture, "sketch.png") ?? "" : "";
    if (turn !== last) return;  // another stroke was faster than the answer
    drawn.value = example;
    soon();
  };
  new SketchPad(pad, take);
  const chosen = /** @type {HTMLInputElement} */ (pad.querySelector("#pick-sketch"));
  const takeChosen = () => { if (chosen.files?.[0]) take(chosen.files[0]); };
  chosen.addEventListener("change", takeChosen);
  takeChosen();
}

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("crop"));
let cropped = /** @type {HTMLElement | null} */ (null);
const crop = new CropDialog(dialog, (box) => {
  const input = cropped?.parentElement?.querySelector("input");
  if (!input || !cropped) return;
  input.value = box ? `${cropped.dataset.crop}@${box.x},${box.y},${box.width},${box.height}` : String(cropped.dataset.crop);
  location.search = ask().toString();
});
for (const each of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-crop]"))) {
  each.addEventListener("click", () => {
    cropped = each;
    const [x, y, width, height] = (each.dataset.box || "").split(",").map(Number);
    const size = { width: Number(each.dataset.width), height: Number(each.dataset.height) };
    crop.open(String(each.dataset.address), size, each.dataset.box ? { x, y, width, height } : null);
  });
}

const marked = /** @type {HTMLElement} */ (document.getElementById("marked"));
/** Marks that were not sent yet: id to 1 or -1. @type {Map<string, number>} */
const marks = new Map();
function showMarks() {
  const liked = [...marks.values()].filter((mark) => mark > 0).length;
  marked.hidden = marks.size === 0;
  const text = marked.querySelector("span");
  if (text) text.textContent = `${liked} liked, ${marks.size - liked} disliked`;
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-mark]"))) {
    button.setAttribute("aria-pressed", String(marks.get(String(button.dataset.id)) === Number(button.dataset.mark)));
  }
}
document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest?.("[data-mark]");
  if (!(button instanceof HTMLElement)) return;
  const id = String(button.dataset.id), mark = Number(button.dataset.mark);
  if (marks.get(id) === mark) marks.delete(id); else marks.set(id, mark);
  showMarks();
});
marked.querySelector("[data-forget]")?.addEventListener("click", () => { marks.clear(); showMarks(); });
marked.querySelector("[data-refine]")?.addEventListener("click", () => {
  const asked = ask();
  asked.append("round", [...marks].map(([id, mark]) => (mark < 0 ? `-${id}` : id)).join(","));
  location.search = asked.toString();
});
document.addEventListener("keydown", (event) => {
  const hit = document.activeElement?.closest(".hit");
  if (!hit || !["l", "d"].includes(event.key) || event.ctrlKey || event.metaKey) return;
  /** @type {HTMLElement | null} */ (hit.querySelector(`[data-mark="${event.key === "l" ? 1 : -1}"]`))?.click();
});

const words = /** @type {HTMLInputElement} */ (document.getElementById("words"));
let typing = 0;
words.addEventListener("input", () => {
  clearTimeout(typing);
  typing = window.setTimeout(async () => {
    const asked = words.value;
    const answer = await fetch(`${form.dataset.suggest}?q=${encodeURIComponent(asked)}`);
    const found = answer.ok ? (await answer.json()).suggestions : [];
    if (asked !== words.value) return;  // more was typed meanwhile
    const list = document.getElementById("suggestions");
    list?.replaceChildren(...found.map((/** @type {string} */ text) => { const option = document.createElement("option"); option.value = text; return option; }));
  }, 120);
});

const layouts = /** @type {HTMLInputElement | null} */ (document.getElementById("show-layout"));
function showLayouts() {
  for (const image of /** @type {NodeListOf<HTMLImageElement>} */ (document.querySelectorAll(".picture .layout"))) {
    if (layouts?.checked && !image.src) image.src = String(image.dataset.src);
    image.hidden = !layouts?.checked;
  }
}
function followLayouts() { sessionStorage.setItem("layouts", layouts?.checked ? "1" : ""); showLayouts(); }
layouts?.addEventListener("change", followLayouts);
// It may have been ticked before this module ran.
if (layouts && (layouts.checked || sessionStorage.getItem("layouts"))) { layouts.checked = true; followLayouts(); }
document.addEventListener("htmx:after:swap", showLayouts);

document.addEventListener("keydown", (event) => {
  if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    words.focus();
  }
});

pick();  // a picture may have been chosen before this module ran
