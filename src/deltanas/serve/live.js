// The parts of the page that changed are put in place as they come; what the reader opened, sorted or typed stays.
candidate = async (name) => {
  const answer = await fetch(`candidates/${encodeURIComponent(name)}`, { cache: "no-store" });
  return answer.ok ? answer.json() : undefined;
};

function kept(part) {
  return {
    open: [...part.querySelectorAll("details")].map((each) => each.open),
    scrolled: [...part.querySelectorAll(".scroll, .code")].map((each) => [each.scrollLeft, each.scrollTop]),
    sorted: [...part.querySelectorAll("table.sortable")].map((table) => {
      const column = [...table.tHead.rows[0].cells].findIndex((head) => head.ariaSort);
      return column < 0 ? null : [column, table.tHead.rows[0].cells[column].ariaSort === "descending"];
    }),
    typed: [...part.querySelectorAll(".filter input")].map((field) => field.value),
    all: [...part.querySelectorAll("table.sortable")].map((table) => "all" in table.dataset),
    focus: [...part.querySelectorAll("a, button, input, summary, [tabindex]")].indexOf(document.activeElement),
  };
}

function restored(part, was) {
  const details = [...part.querySelectorAll("details")];
  // A list that grew has other folds at its end; those before keep their state.
  if (was.open.length) details.forEach((each, place) => place < was.open.length && (each.open = was.open[place]));
  part.querySelectorAll("table.sortable").forEach((table, place) => {
    if (was.all[place]) table.dataset.all = "";
    if (was.sorted[place]) sorted(table, ...was.sorted[place]);
    else arranged(table);
  });
  part.querySelectorAll(".filter input").forEach((field, place) => {
    field.value = was.typed[place] ?? "";
    if (field.value) field.dispatchEvent(new Event("input"));
  });
  part.querySelectorAll(".scroll, .code").forEach((box, place) => was.scrolled[place] && box.scrollTo(...was.scrolled[place]));
  if (was.focus >= 0) part.querySelectorAll("a, button, input, summary, [tabindex]")[was.focus]?.focus({ preventScroll: true });
}

function replaced(name, html) {
  const part = document.querySelector(`[data-part="${name}"]`);
  if (!part) return location.reload();
  const was = kept(part), drawn = new DOMParser().parseFromString(html, "text/html");
  part.replaceChildren(...drawn.body.childNodes);
  enhance(part);
  restored(part, was);
}

const line = document.body.appendChild(element("p", "", "live"));
line.role = "status";
const events = new EventSource(`events?since=${encodeURIComponent(document.body.dataset.revision)}`);
events.addEventListener("open", () => (line.textContent = "live"));
events.addEventListener("error", () => (line.textContent = "no connection: the server has ended or is out of reach"));
events.addEventListener("parts", (event) => {
  const { title, parts } = JSON.parse(event.data);
  document.title = title;
  for (const [name, html] of Object.entries(parts)) replaced(name, html);
});
