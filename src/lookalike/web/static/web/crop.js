// @ts-check
// Asking for a part of a picture: a box with handles on it, or four numbers.

const LEAST = 8;
/** Small pictures are enlarged so many times, and to so many pixels at least, for the hand to find its way. */
const ENLARGED = 3, WIDE = 420;

/** @typedef {{x: number, y: number, width: number, height: number}} Box in pixels of the source */

export class CropDialog {
  /** @param {HTMLDialogElement} dialog @param {(box: Box | null) => void} chosen `null` for the whole picture */
  constructor(dialog, chosen) {
    this.dialog = dialog;
    this.chosen = chosen;
    this.image = /** @type {HTMLImageElement} */ (dialog.querySelector("img"));
    this.sized = /** @type {HTMLSourceElement} */ (dialog.querySelector("source"));
    this.frame = /** @type {HTMLElement} */ (dialog.querySelector("[data-box]"));
    /** @type {Box} */
    this.box = { x: 0, y: 0, width: 1, height: 1 };
    this.size = { width: 1, height: 1 };
    this.listen();
  }

  /**
   * @param {string} address of the picture
   * @param {{width: number, height: number}} size of its source
   * @param {Box | null} box chosen before
   */
  async open(address, size, box) {
    this.size = size;
    // The density gives the picture its size, so that it keeps its proportions within the dialog.
    const density = 1 / Math.max(ENLARGED, WIDE / Math.max(1, size.width));
    this.image.src = address;
    this.sized.srcset = `${address} ${density.toFixed(4)}x`;
    this.dialog.showModal();
    await this.image.decode();
    this.box = box ?? {
      x: Math.round(size.width * 0.2), y: Math.round(size.height * 0.2),
      width: Math.round(size.width * 0.6), height: Math.round(size.height * 0.6),
    };
    this.draw();
  }

  inputs() { return /** @type {NodeListOf<HTMLInputElement>} */ (this.dialog.querySelectorAll("input[data-side]")); }

  listen() {
    for (const input of this.inputs()) {
      input.addEventListener("input", () => {
        const side = /** @type {keyof Box} */ (input.dataset.side);
        this.move({ ...this.box, [side]: Math.round(Number(input.value)) });
      });
    }
    this.frame.addEventListener("pointerdown", (event) => this.drag(event));
    this.frame.addEventListener("keydown", (event) => this.key(event));
    this.dialog.querySelector("[data-part]")?.addEventListener("click", () => { this.dialog.close(); this.chosen(this.box); });
    this.dialog.querySelector("[data-whole]")?.addEventListener("click", () => { this.dialog.close(); this.chosen(null); });
    this.dialog.querySelector("[data-close]")?.addEventListener("click", () => this.dialog.close());
    addEventListener("resize", () => { if (this.dialog.open) this.draw(); });
  }

  /** Pixels of the source in a pixel of the screen. */
  get scale() { return this.size.width / this.image.getBoundingClientRect().width; }

  /** Drag the box, or one of its handles. @param {PointerEvent} down */
  drag(down) {
    const handle = /** @type {HTMLElement} */ (down.target).dataset.handle ?? "";
    const from = { ...this.box };
    down.preventDefault();
    this.frame.focus();
    this.frame.setPointerCapture(down.pointerId);
    const follow = (/** @type {PointerEvent} */ event) => {
      this.pull(from, handle, (event.clientX - down.clientX) * this.scale, (event.clientY - down.clientY) * this.scale);
    };
    this.frame.addEventListener("pointermove", follow);
    this.frame.addEventListener("pointerup", () => this.frame.removeEventListener("pointermove", follow), { once: true });
  }

  /** Move what a handle holds; without one, all of it. @param {Box} from @param {string} handle @param {number} dx @param {number} dy */
  pull(from, handle, dx, dy) {
    const box = { ...from };
    if (!handle) { box.x += dx; box.y += dy; }
    if (handle.includes("e")) box.width += dx;
    if (handle.includes("s")) box.height += dy;
    if (handle.includes("w")) { box.x += dx; box.width -= dx; }
    if (handle.includes("n")) { box.y += dy; box.height -= dy; }
    this.move(box);
  }

  /** Arrows move the box, with Shift they change its size. @param {KeyboardEvent} event */
  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (!step) return;
    event.preventDefault();
    const by = Math.max(1, this.size.width / 100);
    this.pull(this.box, event.shiftKey ? "es" : "", step[0] * by, step[1] * by);
  }

  /** Keep a box within the picture, and show it. @param {Box} box */
  move(box) {
    const { width, height } = this.size;
    const wide = Math.min(width, Math.max(LEAST, Math.round(box.width)));
    const high = Math.min(height, Math.max(LEAST, Math.round(box.height)));
    this.box = {
      x: Math.round(Math.min(width - wide, Math.max(0, box.x))),
      y: Math.round(Math.min(height - high, Math.max(0, box.y))),
      width: wide, height: high,
    };
    this.draw();
  }

  draw() {
    const scale = 1 / this.scale;
    for (const [side, value] of Object.entries({ left: this.box.x, top: this.box.y, width: this.box.width, height: this.box.height })) {
      this.frame.style.setProperty(side, `${value * scale}px`);
    }
    for (const input of this.inputs()) input.value = String(this.box[/** @type {keyof Box} */ (input.dataset.side)]);
  }
}
