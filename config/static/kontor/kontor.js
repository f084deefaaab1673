/* The progress of a run, tick boxes of a whole page, questions before what cannot be undone, and what the keyboard needs. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    for (const watched of document.querySelectorAll("[data-progress-url]")) {
        watch(watched);
    }
    for (const all of document.querySelectorAll("[data-check-all]")) {
        all.addEventListener("change", () => {
            for (const box of document.querySelectorAll(`input[name="${all.dataset.checkAll}"]`)) {
                box.checked = all.checked;
            }
        });
    }
    for (const icon of document.querySelectorAll(".material-symbols-outlined")) {
        const named = icon.closest("a, button");
        if (named && named.textContent.trim() !== icon.textContent.trim()) {
            icon.ariaHidden = "true"; /* else the icon's own word is read aloud before the name of what it adorns */
        }
    }
    const menu = document.querySelector("[x-data*=openUserLinks] > div"); /* language, theme and sign-out are behind it */
    if (menu) {
        menu.role = "button";
        menu.tabIndex = 0;
        menu.addEventListener("keydown", (event) => {
            if (event.key === "Enter" || event.key === " ") {
                event.preventDefault();
                menu.click();
            }
        });
    }
    document.addEventListener("submit", (event) => {
        const question = (event.submitter && event.submitter.dataset.confirm) || event.target.dataset.confirm;
        if (question && !window.confirm(question)) {
            event.preventDefault();
        }
    });
});

/* The theme hides the page until it has set it up, too late for the browser to heed autofocus. */
window.addEventListener("load", () => {
    if (document.activeElement === document.body) {
        document.querySelector("[autofocus]")?.focus();
    }
});

async function watch(element) {
    const bar = element.querySelector("[data-progress-bar]");
    const percent = element.querySelector("[data-progress-percent]");
    const text = element.querySelector("[data-progress-text]");
    let wait = 700;
    for (;;) {
        await new Promise((done) => setTimeout(done, wait));
        let progress;
        try {
            const answer = await fetch(element.dataset.progressUrl, { headers: { Accept: "application/json" } });
            if (!answer.ok) {
                return;
            }
            progress = await answer.json();
        } catch {
            wait = Math.min(wait * 2, 10000);
            continue;
        }
        wait = 1000;
        bar.style.width = `${progress.percent}%`;
        percent.textContent = `${progress.percent} %`;
        text.textContent = progress.text;
        if (progress.finished) {
            window.location.reload();
            return;
        }
    }
}
