// @ts-check
// The layout canvas: paint what is to be where. What is not painted may be anything.
//
// The painting is a small grid of class values (0 background, i + 1 a class, 255 not painted), the
// grid that the model itself decodes to. It goes into the address, deflated, so that a painted
// search is a link.

const VOID = 255;
const UNDO = 60;

/** @typedef {{name: string, color: string, value: number}} Label */

/** Bytes to text that is safe in an address. @param {Uint8Array} bytes */
async function packed(bytes) {
  const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new CompressionStream("deflate"));
  const deflated = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(String.fromCharCode(...deflated)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The reverse of `packed`. @param {string} text */
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export class LayoutCanvas {
  /**
   * @param {HTMLElement} root holds the canvas, the palette and the tools
   * @param {(text: string) => void} changed is told the painting as it goes into the address
   */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.side = Number(root.dataset.grid);
    this.cells = new Uint8Array(this.side * this.side).fill(VOID);
    /** @type {Uint8Array[]} */
    this.past = [];
    this.canvas = /** @type {HTMLCanvasElement} */ (root.querySelector("canvas"));
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    /** @type {Label[]} */
    this.labels = [...root.querySelectorAll("[data-value]")].map((each) => ({
      name: String(each.getAttribute("data-name")),
      color: String(each.getAttribute("data-color")),
      value: Number(each.getAttribute("data-value")),
    }));
    this.colors = new Map(this.labels.map((label) => [label.value, label.color]));
    /** @type {{x: number, y: number} | null} */
    this.from = null;
    this.before = this.cells;
    this.turn = 0;
    this.listen();
    this.draw();
  }

  get value() {
    const chosen = /** @type {HTMLInputElement | null} */ (this.root.querySelector("[name=paint-label]:checked"));
    return this.tool === "erase" ? VOID : Number(chosen?.value ?? 0);
  }

  get tool() {
    const chosen = /** @type {HTMLInputElement | null} */ (this.root.querySelector("[name=paint-tool]:checked"));
    return chosen?.value ?? "brush";
  }

  get size() {
    return Number(/** @type {HTMLInputElement | null} */ (this.root.querySelector("[name=paint-size]"))?.value ?? 3);
  }

  get isEmpty() { return this.cells.every((value) => value === VOID); }

  /** Show a painting from an address. @param {string} text */
  async read(text) {
    const cells = await unpacked(text);
    if (this.past.length) return;  // somebody paints already
    if (cells.length === this.cells.length) { this.cells = cells; this.draw(); }
  }

  listen() {
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.remember();
      this.before = this.cells.slice();
      this.from = this.cell(event);
      this.paint(this.from);
      event.preventDefault();
    });
    this.canvas.addEventListener("pointermove", (event) => { if (this.from) this.paint(this.cell(event)); });
    for (const end of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(end, () => { if (this.from) { this.from = null; this.tell(); } });
    }
    this.root.querySelector("[data-undo]")?.addEventListener("click", () => this.undo());
    this.root.querySelector("[data-clear]")?.addEventListener("click", () => {
      this.remember(); this.cells.fill(VOID); this.draw(); this.tell();
    });
    this.root.querySelector("[data-add-box]")?.addEventListener("click", () => this.addBox());
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); this.undo(); }
    });
    const finder = /** @type {HTMLInputElement | null} */ (this.root.querySelector("[name=paint-find]"));
    finder?.addEventListener("input", () => {
      for (const each of /** @type {NodeListOf<HTMLElement>} */ (this.root.querySelectorAll("[data-value]"))) {
        each.hidden = !String(each.dataset.name).toLowerCase().includes(finder.value.trim().toLowerCase());
      }
    });
  }

  /** The cell under a pointer. @param {PointerEvent} event */
  cell(event) {
    const box = this.canvas.getBoundingClientRect();
    const clamp = (/** @type {number} */ v) => Math.max(0, Math.min(this.side - 1, Math.floor(v)));
    return {
      x: clamp((event.clientX - box.left) / box.width * this.side),
      y: clamp((event.clientY - box.top) / box.height * this.side),
    };
  }

  /** Paint up to a cell with the tool that is chosen. @param {{x: number, y: number}} to */
  paint(to) {
    const from = /** @type {{x: number, y: number}} */ (this.from);
    if (this.tool === "box") {
      this.cells.set(this.before);
      this.fill(Math.min(from.x, to.x), Math.min(from.y, to.y), Math.max(from.x, to.x), Math.max(from.y, to.y), this.value);
    } else {
      const steps = Math.max(1, Math.abs(to.x - from.x), Math.abs(to.y - from.y));
      for (let step = 0; step <= steps; step += 1) {
        this.dab(from.x + (to.x - from.x) * step / steps, from.y + (to.y - from.y) * step / steps);
      }
      this.from = to;
    }
    this.draw();
  }

  /** Fill cells from corner to corner. @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 @param {number} value */
  fill(x0, y0, x1, y1, value) {
    for (let y = y0; y <= y1; y += 1) this.cells.fill(value, y * this.side + x0, y * this.side + x1 + 1);
  }

  /** Paint a round spot. @param {number} x @param {number} y */
  dab(x, y) {
    const radius = this.size / 2;
    for (let row = 0; row < this.side; row += 1) {
      for (let column = 0; column < this.side; column += 1) {
        if (Math.hypot(column - x, row - y) < radius) this.cells[row * this.side + column] = this.value;
      }
    }
  }

  addBox() {
    const read = (/** @type {string} */ name) =>
      Number(/** @type {HTMLInputElement | null} */ (this.root.querySelector(`[name=box-${name}]`))?.value ?? 0) / 100;
    const last = this.side - 1;
    const [x, y, width, height] = ["left", "top", "width", "height"].map(read);
    this.remember();
    this.fill(
      Math.min(last, Math.round(x * this.side)), Math.min(last, Math.round(y * this.side)),
      Math.min(last, Math.round((x + width) * this.side) - 1), Math.min(last, Math.round((y + height) * this.side) - 1),
      this.value,
    );
    this.draw();
    this.tell();
  }

  remember() {
    this.past.push(this.cells.slice());
    if (this.past.length > UNDO) this.past.shift();
  }

  undo() {
    const last = this.past.pop();
    if (!last) return;
    this.cells = last;
    this.draw();
    this.tell();
  }

  draw() {
    const cell = this.canvas.width / this.side;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.cells.forEach((value, at) => {
      if (value === VOID) return;
      this.context.fillStyle = this.colors.get(value) ?? "#888";
      this.context.fillRect((at % this.side) * cell, Math.floor(at / this.side) * cell, cell, cell);
    });
    const named = new Set(this.cells);
    const names = this.labels.filter((label) => named.has(label.value)).map((label) => label.name);
    this.canvas.setAttribute("aria-label", names.length ? `Painted: ${names.join(", ")}` : "Nothing is painted yet");
  }

  async tell() {
    const turn = this.turn += 1;
    const text = this.isEmpty ? "" : await packed(this.cells);
    if (turn === this.turn) this.changed(text);
  }
}
