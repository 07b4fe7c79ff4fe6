"use strict";
(() => {
  const get = (id) => document.getElementById(id);
  const rows = Array.from(document.querySelectorAll("tr[data-kind]"));
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const words = get("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [kind, group, reason] = ["kind", "group", "reason"].map((id) => get(id).value);
    let shown = 0;
    rows.forEach((row, at) => {
      const fits = (!kind || row.dataset.kind === kind)
        && (!group || row.dataset.group === group)
        && (!reason || row.dataset.reason === reason)
        && words.every((word) => texts[at].includes(word));
      row.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    document.querySelectorAll("main details[id]").forEach((section) => {
      section.hidden = !section.querySelector("tr[data-kind]:not([hidden])");
    });
    get("count").textContent = shown + " of " + rows.length + " changes";
  };
  let waiting;
  get("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 150);
  });
  ["kind", "group", "reason"].forEach((id) => get(id).addEventListener("change", filter));

  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  document.querySelectorAll("thead").forEach((head) => {
    Array.from(head.rows[0].cells).forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.addEventListener("click", () => {
        const down = cell.getAttribute("aria-sort") === "ascending";
        Array.from(head.rows[0].cells).forEach((other) => other.removeAttribute("aria-sort"));
        cell.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = head.parentElement.tBodies[0];
        const sorted = Array.from(body.rows).map((row) => [row.cells[column].textContent, row]);
        sorted.sort((a, b) => (down ? compare(b[0], a[0]) : compare(a[0], b[0])));
        body.append(...sorted.map((pair) => pair[1]));
      });
      cell.replaceChildren(button);
    });
  });

  get("controls").hidden = false;
  filter();
})();
