// @ts-check
const box = /** @type {HTMLInputElement | null} */ (document.getElementById("show-seen"));
const seen = document.getElementById("seen");

function showSeen() {
  if (seen && box) seen.hidden = !box.checked;
}

box?.addEventListener("change", showSeen);
// It may have been ticked before this module ran: by a quick hand, or by a browser that goes back a page.
showSeen();
addEventListener("pageshow", showSeen);
