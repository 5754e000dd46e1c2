// @ts-check
const box = /** @type {HTMLInputElement | null} */ (document.getElementById("show-seen"));
const seen = document.getElementById("seen");
box?.addEventListener("change", () => { if (seen) seen.hidden = !box.checked; });
