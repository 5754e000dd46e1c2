// @ts-check
// What is saved and exported is the search as it stands now, also where it changed in place.
document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const present = /** @type {HTMLInputElement | null} */ (form.querySelector("[data-present]"));
  if (present) present.value = location.search.slice(1);
  form.querySelector("[data-asked]")?.replaceChildren(...[...new URLSearchParams(location.search)].map(([name, value]) => {
    const input = document.createElement("input");
    input.type = "hidden"; input.name = name; input.value = value;
    return input;
  }));
});
