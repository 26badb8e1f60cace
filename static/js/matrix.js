// The permission matrix by keyboard: one tab stop, arrows from cell to cell, and back to the cell when its panel closes.
// Without this file every cell is a link of its own and leads to a page.
(() => {
  "use strict";

  const table = () => document.querySelector("#matrix table");
  let last = "";

  function links(row) { return [...row.querySelectorAll("a")]; }

  function stopAt(link) {
    for (const each of table().querySelectorAll("a")) each.tabIndex = each === link ? 0 : -1;
  }

  function begin() {
    const grid = table();
    if (!grid || grid.getAttribute("role") === "grid") return;
    grid.setAttribute("role", "grid");
    const region = document.getElementById("matrix");
    region.removeAttribute("tabindex"); // its cells are reached instead
    grid.setAttribute("aria-label", region.getAttribute("aria-label"));
    stopAt(grid.querySelector("tbody td a") || grid.querySelector("a"));
  }

  function go(event) {
    const link = event.target.closest("#matrix a");
    if (!link || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const rows = [...table().rows];
    const y = rows.indexOf(link.closest("tr"));
    const cells = [...rows[y].cells];
    const x = cells.indexOf(link.closest("th, td"));
    const steps = { ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1], ArrowUp: [y - 1, x], ArrowDown: [y + 1, x],
      Home: [y, 0], End: [y, cells.length - 1], PageUp: [1, x], PageDown: [rows.length - 1, x] };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [down, across] = steps[event.key];
    const next = rows[down]?.cells[across]?.querySelector("a");
    if (!next) return;
    stopAt(next);
    next.focus();
  }

  function close() {
    const panel = document.getElementById("cell");
    if (!panel || panel.hidden || !last) return false;
    panel.replaceChildren();
    panel.hidden = true;
    document.getElementById(last)?.focus();
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.getElementById("matrix") && close()) event.preventDefault();
    else go(event);
  });
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("#matrix td a");
    if (cell) { last = cell.id; stopAt(cell); }
    if (event.target.closest("[data-closes-cell]") && close()) event.preventDefault();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "cell") document.getElementById("cell-name")?.focus();
  });
  document.addEventListener("htmx:oobAfterSwap", () => {
    const cell = document.getElementById(last);
    if (cell && table()) stopAt(cell);
  });
  begin();
})();
