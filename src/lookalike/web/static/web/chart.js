// @ts-check
// Looking along charts: by pointer, or with the slider below each, which keys move.
// Everything is drawn by the server. A live chart is drawn anew every few seconds: what a person looks at in it stays.

/** By title of the chart: where somebody looks, and whether the table is open. @type {Map<string, {at?: number, isOpen?: boolean}>} */
const kept = new Map();

/** @param {Element} figure */
function keptOf(figure) {
  const title = figure.querySelector("figcaption")?.textContent ?? "";
  if (!kept.has(title)) kept.set(title, {});
  return /** @type {{at?: number, isOpen?: boolean}} */ (kept.get(title));
}

/** @param {Element} figure */
function columnsOf(figure) {
  const places = new Set();
  for (const dot of figure.querySelectorAll(".dot")) places.add(Number(dot.getAttribute("cx")));
  return [...places].sort((a, b) => a - b);
}

/** Show the figures of one place. @param {Element} figure @param {number} number */
function look(figure, number) {
  const columns = columnsOf(figure);
  const at = columns[Math.max(0, Math.min(columns.length - 1, number))];
  const cross = figure.querySelector(".cross");
  const readout = /** @type {HTMLElement | null} */ (figure.querySelector(".readout"));
  const along = /** @type {HTMLInputElement | null} */ (figure.querySelector(".along"));
  if (at === undefined || !cross || !readout || !along) return;
  keptOf(figure).at = number;
  cross.setAttribute("x1", String(at));
  cross.setAttribute("x2", String(at));
  const said = [];
  let place = "";
  for (const dot of figure.querySelectorAll(".dot")) {
    const here = Number(dot.getAttribute("cx")) === at && getComputedStyle(dot).display !== "none";
    dot.classList.toggle("here", here);
    if (!here) continue;
    place = dot.getAttribute("data-x") ?? "";
    said.push(`${dot.parentElement?.getAttribute("data-name")} ${dot.getAttribute("data-value")}`);
  }
  const text = said.length ? `${readout.dataset.axis} ${place}: ${said.join(" · ")}` : "No line is shown here.";
  readout.textContent = text;
  along.value = String(number);
  along.setAttribute("aria-valuetext", text);
}

document.documentElement.classList.add("scripted");
document.addEventListener("input", (event) => {
  const along = /** @type {HTMLInputElement} */ (event.target);
  const figure = along.closest(".chart");
  if (figure && along.matches(".along")) look(figure, Number(along.value));
});
document.addEventListener("focusin", (event) => {
  const along = /** @type {HTMLInputElement} */ (event.target);
  const figure = along.closest(".chart");
  if (figure && along.matches(".along")) look(figure, Number(along.value));
});
document.addEventListener("pointermove", (event) => {
  const drawing = /** @type {Element} */ (event.target).closest(".plot svg");
  const figure = drawing?.closest(".chart");
  if (!drawing || !figure) return;
  const box = drawing.getBoundingClientRect();
  const x = (event.clientX - box.left) * (/** @type {SVGSVGElement} */ (drawing).viewBox.baseVal.width / box.width);
  const columns = columnsOf(figure);
  let nearest = 0;
  columns.forEach((column, n) => { if (Math.abs(column - x) < Math.abs(columns[nearest] - x)) nearest = n; });
  look(figure, nearest);
});
document.addEventListener("click", (event) => {
  const table = /** @type {Element} */ (event.target).closest(".chart summary")?.closest("details");
  const figure = table?.closest(".chart");
  if (table && figure) keptOf(figure).isOpen = !table.open; // it opens or closes after this
});
// What was moved or opened before this module ran.
for (const figure of document.querySelectorAll(".chart")) {
  const along = /** @type {HTMLInputElement | null} */ (figure.querySelector(".along"));
  if (along && (along.value !== along.defaultValue || along === document.activeElement)) look(figure, Number(along.value));
  if (figure.querySelector("details")?.open) keptOf(figure).isOpen = true;
}
document.addEventListener("htmx:after:swap", () => {
  for (const figure of document.querySelectorAll(".chart")) {
    const { at, isOpen } = keptOf(figure);
    const table = figure.querySelector("details");
    if (table && isOpen) table.open = true;
    if (at !== undefined) look(figure, at);
  }
});
