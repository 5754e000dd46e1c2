// @ts-check
// Looking along charts: by pointer, or with the slider below each, which keys move.
// Everything is drawn by the server; a chart that is replaced while it is live needs nothing anew.

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
  const text = `${readout.dataset.axis} ${place}: ${said.join(" · ")}`;
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
