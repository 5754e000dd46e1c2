// @ts-check
// Colors to search for: how much of which, and where.

const MOST = 5;
const CELLS = 8;

export class ColorShares {
  /** @param {HTMLElement} root @param {(text: string) => void} changed is told `#3060c0:40,#d02010:10` */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.list = /** @type {HTMLElement} */ (root.querySelector("[data-shares]"));
    this.pattern = /** @type {HTMLTemplateElement} */ (root.querySelector("template"));
    root.querySelector("[data-add-color]")?.addEventListener("click", () => { this.add("#3060c0", 20); this.tell(); });
  }

  /** Show colors from an address. @param {string} text */
  read(text) {
    this.list.replaceChildren();
    for (const each of text.split(",").filter(Boolean)) {
      const [color, percent] = each.split(":");
      this.add(color, Number(percent));
    }
  }

  /** Add a row. @param {string} color @param {number} percent */
  add(color, percent) {
    if (this.list.children.length >= MOST) return;
    const row = /** @type {HTMLElement} */ (this.pattern.content.firstElementChild?.cloneNode(true));
    const [swatch, slider] = /** @type {NodeListOf<HTMLInputElement>} */ (row.querySelectorAll("input"));
    swatch.value = color;
    slider.value = String(percent);
    for (const input of [swatch, slider]) input.addEventListener("input", () => this.tell(slider));
    row.querySelector("button")?.addEventListener("click", () => { row.remove(); this.tell(); });
    this.list.append(row);
    this.label();
  }

  rows() {
    return [...this.list.children].map((row) => {
      const [swatch, slider] = /** @type {NodeListOf<HTMLInputElement>} */ (row.querySelectorAll("input"));
      return { row, swatch, slider };
    });
  }

  /** Keep the sum below 100, by taking from the others what a slider got. @param {HTMLInputElement} [moved] */
  tell(moved) {
    const others = this.rows().filter(({ slider }) => slider !== moved);
    const left = 100 - Number(moved?.value ?? 0);
    const sum = others.reduce((total, { slider }) => total + Number(slider.value), 0);
    if (sum > left) for (const { slider } of others) slider.value = String(Math.floor(Number(slider.value) * left / sum));
    this.label();
    this.changed(this.rows().filter(({ slider }) => Number(slider.value) > 0)
      .map(({ swatch, slider }) => `${swatch.value}:${slider.value}`).join(","));
  }

  label() {
    for (const { row, slider } of this.rows()) {
      const output = row.querySelector("output");
      if (output) output.textContent = `${slider.value} %`;
    }
  }
}

export class ColorGrid {
  /** @param {HTMLElement} root @param {(text: string) => void} changed is told 64 colors or `-`, packed */
  constructor(root, changed) {
    this.changed = changed;
    this.root = root;
    /** @type {(string | null)[]} */
    this.cells = new Array(CELLS * CELLS).fill(null);
    /** @type {(string | null)[][]} */
    this.past = [];
    this.grid = /** @type {HTMLElement} */ (root.querySelector("[data-grid]"));
    for (let at = 0; at < this.cells.length; at += 1) {
      const cell = document.createElement("button");
      cell.type = "button";
      cell.dataset.at = String(at);
      this.grid.append(cell);
    }
    this.listen();
    this.draw();
  }

  get color() {
    const erases = /** @type {HTMLInputElement} */ (this.root.querySelector("[name=color-erase]")).checked;
    return erases ? null : /** @type {HTMLInputElement} */ (this.root.querySelector("[name=color-pick]")).value;
  }

  listen() {
    let isPainting = false;
    const paint = (/** @type {Event} */ event) => {
      const at = /** @type {HTMLElement} */ (event.target).dataset?.at;
      if (at !== undefined && this.cells[Number(at)] !== this.color) { this.cells[Number(at)] = this.color; this.draw(); }
    };
    this.grid.addEventListener("pointerdown", (event) => {
      isPainting = true; this.past.push([...this.cells]);
      /** @type {HTMLElement} */ (event.target).releasePointerCapture?.(event.pointerId);
      paint(event);
    });
    this.grid.addEventListener("pointerover", (event) => { if (isPainting) paint(event); });
    addEventListener("pointerup", () => { if (isPainting) { isPainting = false; this.tell(); } });
    this.grid.addEventListener("click", (event) => {
      // A key on a cell comes as a click without a pointer before it.
      if (event.detail === 0) { this.past.push([...this.cells]); paint(event); this.tell(); }
    });
    this.grid.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -CELLS, ArrowDown: CELLS }[event.key];
      const at = Number(/** @type {HTMLElement} */ (event.target).dataset.at);
      if (!step || Number.isNaN(at)) return;
      event.preventDefault();
      /** @type {HTMLElement | undefined} */ (this.grid.children[at + step])?.focus();
    });
    this.root.querySelector("[data-undo]")?.addEventListener("click", () => {
      const last = this.past.pop();
      if (last) { this.cells = last; this.draw(); this.tell(); }
    });
    this.root.querySelector("[data-clear]")?.addEventListener("click", () => {
      this.past.push([...this.cells]); this.cells.fill(null); this.draw(); this.tell();
    });
  }

  /** Show cells from an address. @param {string} text */
  read(text) {
    const found = text.split(".");
    if (found.length === this.cells.length) { this.cells = found.map((each) => (each === "-" ? null : `#${each}`)); this.draw(); }
  }

  draw() {
    [...this.grid.children].forEach((cell, at) => {
      const color = this.cells[at];
      const button = /** @type {HTMLButtonElement} */ (cell);
      button.style.setProperty("background-color", color ?? "transparent");
      button.setAttribute("aria-label", `Row ${Math.floor(at / CELLS) + 1}, column ${at % CELLS + 1}: ${color ?? "anything"}`);
      button.tabIndex = at === 0 ? 0 : -1;
    });
  }

  tell() {
    const isEmpty = this.cells.every((cell) => cell === null);
    this.changed(isEmpty ? "" : this.cells.map((cell) => (cell === null ? "-" : cell.slice(1))).join("."));
  }
}
