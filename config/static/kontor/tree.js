/* The account tree: branches come when they are opened; an account is moved by dragging it, or by the keyboard. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const tree = document.getElementById("tree");
    const dialog = document.getElementById("tree-dialog");
    const top = document.getElementById("tree-top");
    const said = document.getElementById("tree-said");
    const movable = "movable" in tree.dataset;
    let marked = null; /* the item that is dragged, or was marked by the keyboard */

    async function ask(url, options = {}) {
        const answer = await fetch(url, options);
        if (!answer.ok) {
            throw new Error(String(answer.status));
        }
        return answer;
    }

    function made(tag, className, text) {
        const element = document.createElement(tag);
        element.className = className;
        element.textContent = text || "";
        return element;
    }

    function itemOf(node) {
        const item = document.createElement("li");
        item.setAttribute("role", "treeitem");
        item.tabIndex = -1;
        item.dataset.id = node.id;
        item.dataset.url = node.url;
        item.dataset.move = node.move;
        item.ariaLabel = `${node.reference} ${node.name}`;
        const row = made("div", "k-tree-row");
        const twist = made("span", "k-tree-twist");
        twist.ariaHidden = "true";
        const link = made("a", "k-tree-name", node.name);
        link.href = node.url;
        link.tabIndex = -1;
        link.draggable = false;
        row.append(twist, made("span", "k-code", node.reference), link, made("span", "k-quiet", node.kind));
        if (node.status) {
            row.append(made("span", `k-badge k-badge-${node.colour}`, node.status));
        }
        row.append(made("span", "k-tree-count", node.below ? String(node.below) : ""));
        item.append(row);
        if (node.below) {
            item.setAttribute("aria-expanded", "false");
        } else {
            item.classList.add("k-tree-leaf");
        }
        row.draggable = movable;
        return item;
    }

    async function load(list, parent, after = 0) {
        const found = await (await ask(`${tree.dataset.url}?parent=${parent}&after=${after}`)).json();
        list.querySelector(":scope > .k-tree-more")?.remove();
        list.append(...found.nodes.map(itemOf));
        if (found.more !== null) {
            const more = made("li", "k-tree-more");
            const button = made("button", "k-button k-small", tree.dataset.more);
            button.type = "button";
            button.addEventListener("click", () => load(list, parent, found.more));
            more.setAttribute("role", "none");
            more.append(button);
            list.append(more);
        }
    }

    async function open(item) {
        if (item.getAttribute("aria-expanded") !== "false") {
            return;
        }
        let list = item.querySelector(":scope > ul");
        if (!list) {
            list = document.createElement("ul");
            list.setAttribute("role", "group");
            try {
                await load(list, item.dataset.id);
            } catch {
                said.textContent = tree.dataset.failed;
                return;
            }
            item.append(list);
        }
        list.hidden = false;
        item.setAttribute("aria-expanded", "true");
    }

    function close(item) {
        item.querySelector(":scope > ul").hidden = true;
        item.setAttribute("aria-expanded", "false");
    }

    function walkable() {
        return [...tree.querySelectorAll("[role=treeitem]")].filter((item) => !item.parentElement.closest("ul[hidden]"));
    }

    function focus(item) {
        if (item) {
            for (const other of tree.querySelectorAll("[role=treeitem][tabindex='0']")) {
                other.tabIndex = -1;
            }
            item.tabIndex = 0;
            item.focus();
        }
    }

    function mark(item) {
        marked?.classList.remove("k-tree-marked");
        marked = item;
        marked?.classList.add("k-tree-marked");
        top?.classList.toggle("k-tree-ready", Boolean(item)); /* its place is kept: rows must not slip under the mouse */
    }

    async function begin() {
        await load(tree, "");
        const first = tree.querySelector("[role=treeitem]");
        if (first) {
            first.tabIndex = 0;
        }
    }

    async function reload() {
        const opened = [...tree.querySelectorAll("[aria-expanded=true]")].map((item) => item.dataset.id);
        tree.replaceChildren();
        await begin();
        await openAll(opened);
    }

    async function openAll(keys) {
        for (const key of keys) {
            const item = tree.querySelector(`[role=treeitem][data-id="${key}"]`);
            if (item) {
                await open(item);
            }
        }
    }

    /* What a move does, and the question whether it is meant. */
    async function propose(item, parent) {
        const url = new URL(item.dataset.move, window.location.href);
        url.searchParams.set("parent", parent ? parent.dataset.id : "");
        try {
            show(await ask(url, { headers: { "X-Fragment": "1" } }));
        } catch {
            said.textContent = tree.dataset.failed;
        }
    }

    async function show(answer) {
        if (answer.headers.get("Content-Type").startsWith("application/json")) {
            dialog.close();
            said.textContent = (await answer.json()).said;
            await reload();
            return;
        }
        dialog.innerHTML = await answer.text();
        if (!dialog.open) {
            dialog.showModal();
        }
        (dialog.querySelector("[name=_confirm]") || dialog.querySelector("[name=target]"))?.focus();
    }

    dialog.addEventListener("submit", async (event) => {
        event.preventDefault();
        const data = new FormData(event.target, event.submitter);
        try {
            await show(await ask(event.target.action, { method: "POST", body: data, headers: { "X-Fragment": "1" } }));
        } catch {
            dialog.close();
            said.textContent = tree.dataset.failed;
        }
    });
    dialog.addEventListener("click", (event) => {
        if (event.target.closest("[data-close]")) {
            dialog.close();
        }
    });
    dialog.addEventListener("close", () => mark(null));

    tree.addEventListener("click", (event) => {
        const item = event.target.closest("[role=treeitem]");
        if (item && event.target.closest(".k-tree-twist")) {
            item.getAttribute("aria-expanded") === "true" ? close(item) : open(item);
        }
        focus(item);
    });

    tree.addEventListener("keydown", async (event) => {
        const item = event.target.closest("[role=treeitem]");
        if (!item || event.target !== item || event.ctrlKey || event.metaKey || event.altKey) {
            return;
        }
        const all = walkable();
        const place = all.indexOf(item);
        const state = item.getAttribute("aria-expanded");
        const keys = {
            ArrowDown: () => focus(all[place + 1]),
            ArrowUp: () => focus(all[place - 1]),
            Home: () => focus(all[0]),
            End: () => focus(all[all.length - 1]),
            ArrowRight: () => (state === "false" ? open(item) : state === "true" && focus(all[place + 1])),
            ArrowLeft: () => (state === "true" ? close(item) : focus(item.parentElement.closest("[role=treeitem]"))),
            Enter: () => (marked ? propose(marked, item) : window.location.assign(item.dataset.url)),
            Escape: () => { mark(null); said.textContent = ""; },
        };
        if (movable) {
            keys.m = keys.M = () => { mark(item); said.textContent = `${item.ariaLabel} ${tree.dataset.marked}`; };
            keys.t = keys.T = () => marked && propose(marked, null);
        }
        if (keys[event.key]) {
            event.preventDefault();
            await keys[event.key]();
        }
    });

    if (movable) {
        const over = (element, isOver) => element?.classList.toggle("k-tree-over", isOver);
        tree.addEventListener("dragstart", (event) => {
            event.dataTransfer.effectAllowed = "move";
            event.dataTransfer.setData("text/plain", event.target.closest("[role=treeitem]").dataset.id);
            const item = event.target.closest("[role=treeitem]");
            setTimeout(() => mark(item)); /* the picture that is dragged is taken before */
        });
        tree.addEventListener("dragend", () => !dialog.open && setTimeout(() => !dialog.open && mark(null), 300));
        const spots = [tree, top];
        const spotOf = (event) => (event.currentTarget === top ? top : event.target.closest("[role=treeitem]"));
        for (const spot of spots) {
            spot.addEventListener("dragover", (event) => {
                const place = spotOf(event);
                if (marked && place && (place === top || !marked.contains(place))) {
                    event.preventDefault();
                    over(place, true);
                }
            });
            spot.addEventListener("dragleave", (event) => over(spotOf(event), false));
            spot.addEventListener("drop", (event) => {
                const place = spotOf(event);
                over(place, false);
                if (marked && place) {
                    event.preventDefault();
                    propose(marked, place === top ? null : place);
                }
            });
        }
    }

    const field = document.getElementById("tree-search");
    const hits = document.getElementById("tree-found");
    let waiting = 0;
    field.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(find, 250);
    });
    async function find() {
        const term = field.value.trim();
        hits.hidden = !term;
        if (!term) {
            return;
        }
        const answer = await (await ask(`${field.dataset.url}?q=${encodeURIComponent(term)}`)).json();
        if (field.value.trim() !== term) {
            return; /* somebody typed on meanwhile */
        }
        const table = made("table", "k-table k-hover");
        for (const one of answer.found) {
            const row = table.insertRow();
            const button = made("button", "k-link", `${one.reference} ${one.name}`);
            button.type = "button";
            button.addEventListener("click", () => reveal(one));
            row.insertCell().append(button);
            row.insertCell().append(made("span", "k-quiet", one.line));
        }
        hits.replaceChildren(table);
        if (!answer.found.length || answer.is_cut) {
            hits.append(made("p", "k-quiet", answer.found.length ? field.dataset.cut : field.dataset.nothing));
        }
    }
    async function reveal(one) {
        await openAll(one.path);
        for (const other of tree.querySelectorAll(".k-tree-found")) {
            other.classList.remove("k-tree-found");
        }
        let item = tree.querySelector(`[role=treeitem][data-id="${one.id}"]`);
        if (!item) {
            window.location.assign(one.url); /* beyond what its branch shows at once */
            return;
        }
        item.classList.add("k-tree-found");
        focus(item);
        item.scrollIntoView({ block: "center" });
    }

    begin();
});
