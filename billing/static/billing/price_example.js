// Shows the worked example of the figures that are being typed; the kernel reckons it (billing.admin.price_example).
(function () {
  "use strict";

  const QUIET = 300; // milliseconds after the last key

  function start() {
    const example = document.getElementById("price-example");
    const model = document.getElementById("id_model");
    const form = model && model.closest("form");
    if (!example || !form) {
      return;
    }
    let waiting = 0;
    let asked = 0;

    function ask() {
      const figures = new URLSearchParams();
      for (const [name, value] of new FormData(form)) {
        if (typeof value === "string" && name !== "csrfmiddlewaretoken" && !name.includes("__prefix__")) {
          figures.append(name, value);
        }
      }
      const mine = ++asked;
      fetch(example.dataset.url + "?" + figures, { headers: { "X-Requested-With": "XMLHttpRequest" } })
        .then((answer) => (answer.ok ? answer.text() : ""))
        .then((html) => {
          if (mine === asked) {
            example.innerHTML = html;
          }
        })
        .catch(() => {});
    }

    function later() {
      window.clearTimeout(waiting);
      waiting = window.setTimeout(ask, QUIET);
    }

    form.addEventListener("input", later);
    form.addEventListener("change", later);
    ask();
  }

  document.addEventListener("DOMContentLoaded", start);
})();
