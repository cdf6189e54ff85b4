"use strict";
// Tables sort by their headings and are searched by a field; without this script they are plain tables.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const number = (text) => (text === "" ? NaN : Number(text.replace(/,/g, "")));
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("num");
      const falling = head.ariaSort ? head.ariaSort === "ascending" : numeric;
      const sign = falling ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = falling ? "descending" : "ascending";
      const keyed = [...body.rows].map((row) => [row.cells[column].textContent, row]);
      keyed.sort(([a], [b]) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        return sign * (numeric ? number(a) - number(b) : a.localeCompare(b));
      });
      body.append(...keyed.map(([, row]) => row));
    });
  });
  const label = document.createElement("label"), field = document.createElement("input");
  field.type = "search";
  label.className = "filter";
  label.append("Show rows that contain ", field);
  table.parentElement.before(label);
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
