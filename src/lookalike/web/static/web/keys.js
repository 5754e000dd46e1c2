// @ts-check
// One key for each button or link that names one: `data-key="y"`.
document.addEventListener("keydown", (event) => {
  const typing = document.activeElement?.matches("input:not([type=checkbox], [type=hidden]), select, textarea");
  if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey || !/^[a-z]$/i.test(event.key)) return;
  const pressed = document.querySelector(`[data-key="${event.key.toLowerCase()}"]`);
  if (pressed instanceof HTMLElement) { event.preventDefault(); pressed.click(); }
});

// Where one types first; on a phone the keyboard would hide what it is about.
const first = document.querySelector("[data-first]");
if (first instanceof HTMLElement && matchMedia("(min-width: 900px)").matches) first.focus({ preventScroll: true });
