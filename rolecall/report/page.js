"use strict";
// Filters resources by host, outcome and text. Without this script everything is shown.
(() => {
  const form = document.getElementById("filter");
  const [host, outcome, text] = ["f-host", "f-outcome", "f-text"].map((id) =>
    document.getElementById(id));
  const said = document.getElementById("f-said");
  const hosts = [...document.querySelectorAll(".host")].map((element) => ({
    element,
    name: element.dataset.host.toLowerCase(),
    folds: [...element.querySelectorAll(".oks")],
    steps: [...element.querySelectorAll(".step")].map((step) => ({
      element: step, outcome: step.dataset.outcome, text: null })),
  }));
  const quiet = document.getElementById("quiet");
  const total = hosts.reduce((sum, one) => sum + one.steps.length, 0);

  function matches(step, wanted, words) {
    if (wanted && step.outcome !== wanted) return false;
    if (!words.length) return true;
    step.text ??= step.element.textContent.toLowerCase();
    return words.every((word) => step.text.includes(word));
  }

  function apply() {
    const name = host.value.trim().toLowerCase();
    const words = text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const filtering = Boolean(name || outcome.value || words.length);
    let shown = 0, on = 0;
    for (const one of hosts) {
      let found = 0;
      const meant = one.name.includes(name);
      for (const step of one.steps) {
        const visible = meant && matches(step, outcome.value, words);
        step.element.hidden = !visible;
        found += visible;
      }
      one.element.hidden = filtering && (!meant || (!found && (outcome.value || words.length)));
      for (const fold of one.folds) {
        const inside = fold.querySelector(".step:not([hidden])");
        fold.hidden = !inside;
        if (outcome.value || words.length) fold.open = Boolean(inside);
      }
      shown += found;
      on += !one.element.hidden;
    }
    if (quiet) {
      const inside = quiet.querySelector(".host:not([hidden])");
      quiet.hidden = !inside;
      if (filtering) quiet.open = Boolean(inside);
    }
    said.textContent = filtering
      ? `${shown} of ${total} resources on ${on} of ${hosts.length} hosts` : "";
  }

  let timer;
  function soon() {
    clearTimeout(timer);
    timer = setTimeout(apply, total > 2000 ? 150 : 0);
  }
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", soon);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { host.value = outcome.value = text.value = ""; apply(); }
  });
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll(".step details")) one.open = true;
  });
})();
