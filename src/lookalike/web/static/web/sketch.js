// @ts-check
// The sketch pad: lines on white paper, sent as a picture after each stroke.

const SIDE = 320;

export class SketchPad {
  /** @param {HTMLElement} root @param {(picture: Blob | null) => void} changed is told the drawing, `null` when it is empty */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.canvas = /** @type {HTMLCanvasElement} */ (root.querySelector("canvas"));
    this.canvas.width = SIDE;
    this.canvas.height = SIDE;
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    /** @type {{width: number, points: [number, number][]}[]} */
    this.strokes = [];
    this.isDrawing = false;
    this.listen();
    this.draw();
  }

  get pen() { return Number(/** @type {HTMLInputElement} */ (this.root.querySelector("[name=pen-size]")).value); }

  listen() {
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.isDrawing = true;
      this.strokes.push({ width: this.pen, points: [this.point(event)] });
      this.draw();
      event.preventDefault();
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!this.isDrawing) return;
      this.strokes[this.strokes.length - 1].points.push(this.point(event));
      this.draw();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(end, () => { if (this.isDrawing) { this.isDrawing = false; this.tell(); } });
    }
    this.root.querySelector("[data-undo]")?.addEventListener("click", () => { this.strokes.pop(); this.draw(); this.tell(); });
    this.root.querySelector("[data-clear]")?.addEventListener("click", () => { this.strokes = []; this.draw(); this.tell(); });
  }

  /** Where a pointer is, in pixels of the pad. @param {PointerEvent} event @returns {[number, number]} */
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
  }

  draw() {
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, SIDE, SIDE);
    this.context.strokeStyle = "#111";
    this.context.lineCap = "round";
    this.context.lineJoin = "round";
    for (const { width, points } of this.strokes) {
      this.context.lineWidth = width;
      this.context.beginPath();
      this.context.moveTo(...points[0]);
      for (const point of points) this.context.lineTo(...point);
      this.context.stroke();
    }
    this.canvas.setAttribute("aria-label", `Sketch pad, ${this.strokes.length} strokes`);
  }

  tell() {
    if (!this.strokes.length) this.changed(null);
    else this.canvas.toBlob((picture) => this.changed(picture), "image/png");
  }
}
