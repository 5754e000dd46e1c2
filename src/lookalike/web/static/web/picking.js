// @ts-check
// Pictures that are picked, in a grid or on the map, and the bar that says what to do with them.
// Without this module the boxes of a grid are sent as they are.

export class Picked {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    /** @type {Set<number>} */
    this.ids = new Set();
    /** @type {() => void} */
    this.changed = () => {};
    form.addEventListener("reset", () => setTimeout(() => this.clear()));
    this.boxes = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll(".pickable input")]);
    let last = -1;
    form.addEventListener("click", (event) => {
      const at = this.boxes.indexOf(/** @type {HTMLInputElement} */ (event.target));
      if (at < 0) return;
      if (event.shiftKey && last >= 0) {
        for (const box of this.boxes.slice(Math.min(at, last), Math.max(at, last) + 1)) box.checked = this.boxes[at].checked;
      }
      last = at;
      this.readBoxes();
    });
    // A page that is come back to has its boxes as they were left.
    addEventListener("pageshow", () => this.readBoxes());
    this.readBoxes();
  }

  readBoxes() {
    if (this.boxes.length) this.ids = new Set(this.boxes.filter((box) => box.checked).map((box) => Number(box.value)));
    this.show();
  }

  /** @param {number} id */
  toggle(id) { if (!this.ids.delete(id)) this.ids.add(id); this.show(); }

  /** @param {number[]} ids */
  add(ids) { for (const id of ids) this.ids.add(id); this.show(); }

  clear() { this.ids.clear(); this.show(); }

  show() {
    const n = this.ids.size;
    const count = this.form.querySelector("[data-count]");
    if (count) count.textContent = `${n.toLocaleString("en")} picked`;
    const sent = /** @type {HTMLInputElement | null} */ (this.form.querySelector("[name=ids]"));
    if (sent && !this.boxes.length) sent.value = [...this.ids].join(",");
    const bar = /** @type {HTMLElement | null} */ (this.form.querySelector(".picked"));
    if (bar) bar.hidden = n === 0;
    this.changed();
  }
}

const form = /** @type {HTMLFormElement | null} */ (document.querySelector("[data-picking]"));
export const picked = form ? new Picked(form) : null;
