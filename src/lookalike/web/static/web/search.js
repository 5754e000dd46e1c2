// @ts-check
// The search page: a picture that is dropped, pasted or chosen becomes an example; sliders search
// again after a moment; the layout of each hit can be laid over it.
import { LayoutCanvas } from "./layout.js";
import { say } from "./page.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("ask"));
const drop = /** @type {HTMLElement} */ (document.getElementById("drop"));
const picker = /** @type {HTMLInputElement} */ (document.getElementById("pick"));

/** What the page asks for, as it goes into the address. @param {string} [example] one more liked */
function ask(example) {
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && value && !/^(paint|box)-/.test(name)) asked.append(name, value);
  }
  if (example) asked.append("like", example);
  for (const slider of weightSliders()) {
    if (slider.dataset.moved) asked.append("w", `${slider.dataset.weight}:${slider.value}`);
  }
  return asked;
}

function weightSliders() {
  return /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[data-weight]"));
}

/** Send a picture and search with it. @param {File} file */
async function submitPicture(file) {
  if (!file.type.startsWith("image/")) { say(`${file.name || "That"} is no picture.`); return; }
  say("Looking at the picture …");
  const body = new FormData();
  body.append("picture", file);
  const token = /** @type {HTMLElement} */ (document.body).getAttribute("hx-headers:inherited") || "{}";
  try {
    const answer = await fetch(String(form.dataset.upload), { method: "POST", body, headers: JSON.parse(token) });
    const content = await answer.json();
    if (!answer.ok) { say(content.error || "The picture could not be read."); return; }
    location.search = ask(content.example).toString();
  } catch { say("The picture could not be sent; is the server still there?"); }
}

picker.addEventListener("change", () => { if (picker.files?.[0]) submitPicture(picker.files[0]); });

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

for (const slider of weightSliders()) {
  slider.addEventListener("input", () => {
    const output = slider.nextElementSibling;
    if (output) output.textContent = slider.value;
    slider.dataset.moved = "1";
    soon();
  });
}
for (const each of form.querySelectorAll("[data-again]")) each.addEventListener("change", soon);

let running = new AbortController();
/** Search again in place; the address follows. */
async function again() {
  const asked = ask();
  running.abort(); running = new AbortController();
  const address = `${location.pathname}?${asked}`;
  const place = /** @type {HTMLElement} */ (document.getElementById("hits"));
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { headers: { "HX-Target": "hits", "HX-Request": "true" }, signal: running.signal });
    place.innerHTML = await answer.text();
    /** @type {any} */ (window).htmx?.process(place);
    history.replaceState(null, "", address);
    place.removeAttribute("aria-busy");
    showLayouts();
  } catch (error) { if (!(error instanceof DOMException)) throw error; }
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

const layouts = /** @type {HTMLInputElement | null} */ (document.getElementById("show-layout"));
function showLayouts() {
  for (const image of /** @type {NodeListOf<HTMLImageElement>} */ (document.querySelectorAll(".picture .layout"))) {
    if (layouts?.checked && !image.src) image.src = String(image.dataset.src);
    image.hidden = !layouts?.checked;
  }
}
layouts?.addEventListener("change", () => { sessionStorage.setItem("layouts", layouts.checked ? "1" : ""); showLayouts(); });
if (layouts && sessionStorage.getItem("layouts")) { layouts.checked = true; showLayouts(); }
document.addEventListener("htmx:after:swap", showLayouts);

document.addEventListener("keydown", (event) => {
  if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    (document.getElementById("words") || picker).focus();
  }
});
