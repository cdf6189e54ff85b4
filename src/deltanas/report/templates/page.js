"use strict";
// Tables sort by their headings and are searched by a field; candidates open. Without this script the page is whole,
// but for the candidates that it does not show.
document.documentElement.classList.add("scripted");

const number = (text) => (text === "" ? NaN : Number(text.replace(/,/g, "").replace("−", "-")));
const worth = (cell) => cell?.dataset.value ?? cell?.textContent ?? ""; // a cell may span several columns

function sorted(table, column, falling) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const numeric = heads[column].classList.contains("num"), sign = falling ? -1 : 1;
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  heads[column].ariaSort = falling ? "descending" : "ascending";
  const keyed = [...body.rows].map((row) => [worth(row.cells[column]), row]);
  keyed.sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (numeric ? number(a) - number(b) : a.localeCompare(b));
  });
  body.append(...keyed.map(([, row]) => row));
  arranged(table);
}

// Of a long table the first rows are shown: a browser takes a second to lay out thousands.
function arranged(table) {
  const wanted = (table.dataset.wanted ?? "").toLowerCase(), most = "all" in table.dataset ? Infinity : 200;
  let count = 0;
  for (const row of table.tBodies[0].rows) {
    const fits = wanted === "" || row.textContent.toLowerCase().includes(wanted);
    row.hidden = !fits || (count += 1) > most;
  }
  const more = table.parentElement.nextElementSibling;
  if (!more?.classList.contains("more")) return;
  more.hidden = count <= most;
  more.textContent = `Show all ${count.toLocaleString("en")} rows`;
}

function enhance(root) {
  for (const table of root.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.classList.contains("wide")) return; // a drawing of the column beside it
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        sorted(table, column, head.ariaSort ? head.ariaSort === "ascending" : head.classList.contains("num"));
      });
    });
    if (!table.dataset.filter) continue;
    const label = document.createElement("label"), field = document.createElement("input");
    field.type = "search";
    label.className = "filter";
    label.append(table.dataset.filter, " ", field);
    table.parentElement.before(label);
    field.addEventListener("input", () => {
      table.dataset.wanted = field.value;
      arranged(table);
    });
    const more = element("button", undefined, "more");
    more.type = "button";
    more.addEventListener("click", () => {
      table.dataset.all = "";
      arranged(table);
    });
    table.parentElement.after(more);
    arranged(table);
  }
}

// A candidate's texts come from a model: they are put in place as text, and no HTML is made of them.
function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function listing(title, text, isDiff) {
  const box = element("div", undefined, "code"), pre = element("pre", isDiff ? undefined : text);
  box.tabIndex = 0;
  box.role = "region";
  box.ariaLabel = title;
  if (isDiff) {
    const kinds = { "+": "added", "-": "removed", "@": "place", "\\": "place" };
    pre.className = "diff";
    for (const line of text.replace(/\n$/, "").split("\n")) {
      const kind = kinds[line[0]] ?? "same", row = element("span", undefined, kind);
      if (kind !== "place") row.append(element("i", line.slice(0, 1)));
      row.append(kind === "place" ? line : line.slice(1), "\n");
      pre.append(row);
    }
  }
  box.append(pre);
  return box;
}

function show(name, candidate) {
  const dialog = document.querySelector("#opened"), body = dialog.querySelector("div");
  dialog.querySelector("h2").textContent = candidate ? candidate.name : name;
  body.replaceChildren();
  if (!candidate) body.append(element("p", "This file does not hold it; deltanas serve and deltanas programs do.", "absent"));
  const facts = element("dl", undefined, "facts");
  for (const [key, value] of candidate?.facts ?? []) facts.append(element("dt", key), element("dd", value));
  body.append(facts);
  for (const { title, text, diff } of candidate?.texts ?? []) body.append(element("h3", title), listing(title, text, diff));
  dialog.showModal();
  dialog.scrollTop = 0;
}

const held = document.querySelector("#data");
let known = null;
let candidate = async (name) => (known ??= JSON.parse(held.textContent))[name];

document.addEventListener("click", async (event) => {
  const opener = event.target.closest("[data-open]"), link = event.target.closest("a[href^='#edge-']");
  if (opener) {
    const name = opener.dataset.open;
    show(name, await candidate(name));
  }
  if (link) document.querySelector(link.hash || link.getAttribute("href")).open = true;
});

// On paper nothing can be unfolded: the steps of the lineage are printed open.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details.edge:not([open])")];
  folded.forEach((each) => (each.open = true));
});
addEventListener("afterprint", () => folded.forEach((each) => (each.open = false)));

enhance(document);
