// The table of findings: sorted by any column, filtered by task, each row with its evidence folded below it.

const FIRST_ROWS = 150;
const COLUMNS = [
  { key: "time", name: "Time", of: f => f.start_s },
  { key: "what", name: "Finding", of: f => `${f.label || f.kind}`.toLowerCase() },
  { key: "length", name: "Length", of: f => f.end_s - f.start_s },
  { key: "score", name: "Score", of: f => -f.score },
];

class Findings {
  constructor() {
    this.column = COLUMNS[0];
    this.down = false;
    this.limit = FIRST_ROWS;
    this.open = new Set();
    this.tasks = report.tasks.map(t => t.task).filter(t => findings.some(f => f.task === t));
    const loud = this.tasks.filter(t => !HAVE_LISTS.has(t));
    this.shown = new Set(loud.length ? loud : this.tasks);
    const breaks = findings.filter(f => f.task === "ads" && f.kind === "break");
    this.inside = new Set(
      findings.filter(
        f => f.task === "ads" && f.kind === "spot" && breaks.some(b => b.start_s <= f.start_s + 0.5 && f.end_s <= b.end_s + 0.5),
      ),
    );
  }

  start() {
    byId("table-head").append(
      ...COLUMNS.map(c =>
        h(
          "th",
          { scope: "col", class: `col-${c.key}`, "data-key": c.key },
          h("button", { type: "button", onclick: () => this.sort(c) }, c.name, h("span", { class: "dir", "aria-hidden": "true" })),
        ),
      ),
      h("th", { scope: "col" }, h("span", { class: "skip" }, "Evidence")),
    );
    byId("filters").append(
      ...this.tasks.map(task =>
        h(
          "button",
          {
            type: "button",
            class: "button filter",
            style: `--c: ${taskColour(task)}`,
            "data-task": task,
            onclick: () => this.filter(task),
          },
          h("i", { "aria-hidden": "true" }, taskLook(task).sign),
          taskLook(task).name,
          h("span", { class: "muted" }, String(findings.filter(f => f.task === task).length)),
        ),
      ),
    );
    byId("more").addEventListener("click", () => {
      this.limit = Infinity;
      this.fill();
    });
    this.fill();
  }

  sort(column) {
    this.down = this.column === column ? !this.down : false;
    this.column = column;
    this.fill();
  }
  filter(task) {
    if (!this.shown.delete(task)) this.shown.add(task);
    this.fill();
  }

  fill() {
    const { of } = this.column,
      order = (a, b) => {
        const x = of(a),
          y = of(b);
        return (x < y ? -1 : x > y ? 1 : a.start_s - b.start_s) * (this.down ? -1 : 1);
      };
    const wanted = findings.filter(f => this.shown.has(f.task));
    if (this.column.key !== "time" || this.down) wanted.sort(order);
    const rows = wanted.slice(0, this.limit);
    byId("rows").replaceChildren(...rows.flatMap(f => this.row(f)));
    byId("findings-count").textContent = findings.length ? `${wanted.length} of ${findings.length}` : "";
    byId("no-rows").hidden = rows.length > 0;
    byId("no-rows").textContent = findings.length
      ? "Choose above what to list."
      : `No findings: ${report.tasks.map(t => `${taskLook(t.task).name.toLowerCase()}: ${t.reason || t.status}`).join("; ")}.`;
    byId("more").hidden = wanted.length <= rows.length;
    byId("more").textContent = `Show all ${wanted.length}`;
    byId("table-head").parentElement.hidden = rows.length === 0;
    for (const th of byId("table-head").querySelectorAll("[data-key]")) {
      const on = th.dataset.key === this.column.key,
        falling = this.down !== (this.column.key === "score");
      if (on) th.setAttribute("aria-sort", falling ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
      th.querySelector(".dir").textContent = on ? (falling ? " ↓" : " ↑") : "";
    }
    for (const button of byId("filters").children) button.setAttribute("aria-pressed", String(this.shown.has(button.dataset.task)));
    this.mark(player.time);
  }

  row(f) {
    const look = taskLook(f.task),
      percent = Math.round(f.score * 100),
      open = this.open.has(f),
      name = f.label || words(f.kind);
    const fold = h(
      "button",
      {
        type: "button",
        class: "fold",
        "aria-expanded": String(open),
        "aria-label": `Evidence for ${name}`,
        onclick: e => {
          e.stopPropagation();
          if (!this.open.delete(f)) this.open.add(f);
          this.unfold(f, fold);
        },
      },
      h("span", { "aria-hidden": "true" }, "▸"),
    );
    const row = h(
      "tr",
      {
        class: `row ${f.state}${this.inside.has(f) && this.column.key === "time" ? " inside" : ""}`,
        style: `--c: ${taskColour(f.task)}`,
        "data-id": f.id,
        onclick: () => go(f.start_s),
      },
      h(
        "td",
        { class: "time" },
        h(
          "button",
          {
            type: "button",
            title: "Go there",
            onclick: e => {
              e.stopPropagation();
              go(f.start_s);
            },
          },
          clockNode(f.start_s),
        ),
        h("span", { class: "end muted" }, " – ", clockNode(f.end_s)),
      ),
      h(
        "td",
        {},
        h(
          "div",
          { class: "what" },
          h("i", { title: look.name, "aria-label": look.name, role: "img" }, look.sign),
          h(
            "span",
            {},
            h("span", { class: "label" }, name),
            " ",
            h("span", { class: "kind" }, f.kind === "break" || f.kind === "spot" || f.kind === "chapter" ? "" : f.kind.replace(/_/g, " ")),
            " ",
            f.state === "found" ? null : h("span", { class: "mark" }, f.state),
          ),
        ),
      ),
      h("td", { class: "length" }, lengthText(f.end_s - f.start_s)),
      h(
        "td",
        {},
        h(
          "div",
          { class: "score", title: `Probability that this is right: ${f.score.toFixed(3)}` },
          h("span", { class: "bar", "aria-hidden": "true" }, h("span", { style: `width: ${percent}%` })),
          percentText(f.score),
        ),
      ),
      h("td", {}, fold),
    );
    row.finding = f;
    return open ? [row, this.evidence(f)] : [row];
  }

  unfold(f, button) {
    const row = button.closest("tr"),
      open = this.open.has(f);
    button.setAttribute("aria-expanded", String(open));
    if (open) row.after(this.evidence(f));
    else row.nextElementSibling.remove();
  }

  evidence(f) {
    const cues = f.evidence.flatMap(c => [
      h("b", {}, words(c.name)),
      h("span", {}, c.score == null ? "–" : String(+c.score.toPrecision(3))),
      h("span", {}, c.detail),
      c.span
        ? h(
            "button",
            { type: "button", class: "link", onclick: () => go(c.span.start_s) },
            `${exactClock(c.span.start_s)} – ${exactClock(c.span.end_s)}`,
          )
        : h("span", {}),
    ]);
    const told = value =>
      Array.isArray(value)
        ? value.map(told).join(", ")
        : value && typeof value === "object"
          ? Object.entries(value)
              .map(([k, v]) => `${k.replace(/_/g, " ")} ${told(v)}`)
              .join("; ")
          : String(value);
    const numbers = Object.entries(f.data)
      .map(([key, value]) => `${key.replace(/_/g, " ")}: ${told(value)}`)
      .join(" · ");
    const exact = [
      `${exactClock(f.start_s)} – ${exactClock(f.end_s)}`,
      f.ticks ? `ticks ${f.ticks[0]} – ${f.ticks[1]}` : "",
      f.revision ? `revision ${f.revision}` : "",
      `id ${f.id}`,
    ]
      .filter(Boolean)
      .join(" · ");
    return h(
      "tr",
      { class: "evidence", style: `--c: ${taskColour(f.task)}` },
      h(
        "td",
        { colspan: "5" },
        h(
          "div",
          { class: "evidence-box" },
          f.explanation ? h("p", {}, f.explanation) : null,
          cues.length ? h("div", { class: "cues" }, cues) : h("p", { class: "muted" }, "No single piece of evidence was recorded."),
          numbers ? h("p", {}, numbers) : null,
          h("p", { class: "small" }, exact),
        ),
      ),
    );
  }

  mark(time) {
    for (const row of byId("rows").children)
      if (row.finding) row.classList.toggle("now", row.finding.start_s <= time && time < row.finding.end_s);
  }
}
