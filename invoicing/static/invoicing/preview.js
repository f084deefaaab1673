// Sends the form to the frames beside it whenever something changes; the server draws what they show and keeps nothing.
(function () {
  "use strict";

  const QUIET = 500; // milliseconds after the last key
  const APART = 150; // a form that is sent twice at once is sent once

  function start() {
    const previews = document.getElementById("previews");
    const form = previews && document.getElementById(previews.dataset.form);
    if (!form) {
      return;
    }
    const latest = new Map();
    for (const button of previews.querySelectorAll("button[data-preview]")) {
      if ("first" in button.dataset) {
        latest.set(button.dataset.preview, button);
      }
      button.addEventListener("click", () => latest.set(button.dataset.preview, button));
    }
    let waiting = 0;

    function send() {
      let wait = 0;
      for (const button of latest.values()) {
        window.setTimeout(() => form.requestSubmit(button), wait);
        wait += APART;
      }
    }

    function later() {
      window.clearTimeout(waiting);
      waiting = window.setTimeout(send, QUIET);
    }

    form.addEventListener("input", later);
    form.addEventListener("change", later);
    send();
  }

  document.addEventListener("DOMContentLoaded", start);
})();
