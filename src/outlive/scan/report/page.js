(() => {
  "use strict";
  const root = document.documentElement;
  const form = document.getElementById("filters");
  const count = document.getElementById("count");
  const theme = document.getElementById("theme");
  const stores = [...document.querySelectorAll("[data-text]")];

  const apply = () => {
    const wanted = new FormData(form);
    const words = String(wanted.get("text")).toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const priorities = wanted.getAll("priority");
    let shown = 0;
    for (const store of stores) {
      const fits =
        priorities.includes(store.dataset.priority) &&
        (!wanted.get("service") || store.dataset.service === wanted.get("service")) &&
        (!wanted.get("class") || store.dataset.class === wanted.get("class")) &&
        words.every((word) => store.dataset.text.includes(word));
      store.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    for (const section of document.querySelectorAll("section.service")) {
      section.hidden = !section.querySelector("[data-text]:not([hidden])");
    }
    count.textContent = `${shown} / ${stores.length}`;
  };

  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
})();
