"use strict";
// A click on a column's title sorts its table by that column, a second one the other way round. Numbers are compared as numbers, by
// the cell's data-value where it has one; empty cells come last either way.
function cellKey(row, column, isNumber) {
  const cell = row.cells[column];
  const text = cell.dataset.value !== undefined ? cell.dataset.value : cell.textContent.trim();
  if (text === "") return null;
  return isNumber ? Number(text) : text;
}

function sortTable(title) {
  const table = title.closest("table");
  const column = title.cellIndex;
  const isNumber = title.classList.contains("number");
  const direction = title.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = Array.from(table.tBodies[0].rows, (row) => [cellKey(row, column, isNumber), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (isNumber ? a - b : a.localeCompare(b, "en", { numeric: true }));
  });
  for (const other of title.parentNode.cells) other.removeAttribute("aria-sort");
  title.setAttribute("aria-sort", direction);
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

for (const title of document.querySelectorAll("thead th")) {
  title.querySelector("button").addEventListener("click", () => sortTable(title));
}
