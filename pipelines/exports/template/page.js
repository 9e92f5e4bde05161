// Puts the report on the page around the player and the timeline.

/** The system, and the trained eyes and readers beside it; "signals" are measurements without a language model. */
function seenBy() {
  const eyes = ["encoder", "reader", "cutter", "speech"].map(use => report.settings[use]?.name).filter(Boolean);
  return [report.system, ...eyes].join(", ") + (report.system === "signals" ? "; no language model" : "");
}

function fillHead() {
  byId("name").textContent = report.name;
  const m = report.media,
    streams = m.streams || [],
    codecs = ["video", "audio"].map(kind => streams.find(s => s.kind === kind)?.codec).filter(Boolean);
  const seen =
    report.coverage.ratio >= 0.9995
      ? "the whole file was looked at"
      : `${lengthText(report.coverage.seconds_seen)} of ${lengthText(report.coverage.seconds_total)} looked at (${(Math.floor(report.coverage.ratio * 1000) / 10).toFixed(1)} %)`;
  byId("facts").append(
    h("li", {}, statusChip(report.status)),
    h("li", {}, h("b", {}, exactClock(report.coverage.seconds_total))),
    h("li", {}, seen),
    ...(m.width_px ? [h("li", {}, `${m.width_px} × ${m.height_px}`)] : []),
    ...(frameRateText() ? [h("li", {}, frameRateText())] : []),
    ...(codecs.length ? [h("li", {}, codecs.join(" + "))] : []),
    h("li", {}, `seen by: ${seenBy()}`),
  );
}

function frameRateText() {
  if (!report.media.frame_rate) return "";
  const rate = 1 / frameLength();
  return `${+rate.toFixed(3)} frames/s`;
}

const statusChip = status => h("span", { class: `chip ${status}` }, h("span", { "aria-hidden": "true" }, STATUS[status]), status);

function fillNotice() {
  if (report.status === "ok" && report.reason === "") return;
  if (report.status === "ok") return;
  const looked = report.tasks.map(t => taskLook(t.task).name.toLowerCase()),
    list = looked.length > 1 ? `${looked.slice(0, -1).join(", ")} and ${looked.at(-1)}` : looked[0] || "anything";
  const texts = {
    empty: [
      "Nothing was found.",
      `${report.coverage.ratio >= 0.9995 ? `All ${lengthText(duration)}` : `${lengthText(report.coverage.seconds_seen)} of ${lengthText(duration)}`} of the file were looked at for ${list}. This is an answer, not a failure.`,
    ],
    degraded: ["An answer with limits", sentence(report.reason)],
    failed: ["This analysis failed", sentence(report.reason)],
  };
  const [title, text] = texts[report.status];
  byId("notice").append(
    h(
      "div",
      { class: `notice ${report.status}` },
      h("span", { class: "sign", "aria-hidden": "true" }, STATUS[report.status]),
      h("div", {}, h("strong", {}, title), h("p", {}, text)),
    ),
  );
}

function sentence(text) {
  return text && !/[.!?]$/.test(text) ? `${words(text).replace(/^./, c => c.toUpperCase())}.` : text;
}

function headline(task) {
  const own = ofTask(task.task);
  if (task.status === "failed") return ["No answer", ""];
  if (task.task === "summary")
    return own.length
      ? [count(own.length, "line"), pictures.length ? `and ${count(pictures.length, "picture")}` : ""]
      : pictures.length
        ? [count(pictures.length, "picture"), "as a storyboard"]
        : ["None", ""];
  if (!own.length) return ["None found", ""];
  if (task.task === "ads") {
    const breaks = own.filter(f => f.kind === "break"),
      spots = own.length - breaks.length,
      time = covered(own);
    const first = breaks.length ? count(breaks.length, "ad break") : count(spots, "spot");
    return [
      first,
      `${breaks.length && spots ? `with ${count(spots, "spot")}, ` : ""}${lengthText(time)} (${((100 * time) / duration).toFixed(1)} %)`,
    ];
  }
  if (task.task === "anomalies") return [count(own.length, "anomaly", "anomalies"), lengthText(covered(own))];
  if (task.task === "chapters") return [count(own.length, "chapter"), ""];
  return [count(own.length, "finding"), ""];
}

function fillOverview() {
  byId("overview").append(
    ...report.tasks
      .filter(t => t.task !== "shots" || t.status === "failed")
      .map(task => {
        const look = taskLook(task.task),
          [big, small] = headline(task);
        const rejected = task.findings.filter(f => f.state === "rejected").length;
        return h(
          "div",
          { class: "task", style: `--c: ${taskColour(task.task)}` },
          h("span", { class: "badge", "aria-hidden": "true" }, look.sign),
          h("div", {}, h("div", { class: "small" }, look.name), h("div", { class: "big" }, big, " ", h("small", {}, small))),
          statusChip(task.status),
          task.reason ? h("p", {}, sentence(task.reason)) : null,
          rejected ? h("p", {}, `${count(rejected, "finding")} rejected by a person.`) : null,
        );
      }),
  );
  if (report.shots.length)
    byId("overview").append(
      h(
        "div",
        { class: "task", style: "--c: var(--muted)" },
        h("span", { class: "badge", "aria-hidden": "true" }, "▤"),
        h(
          "div",
          {},
          h("div", { class: "small" }, "Shots"),
          h(
            "div",
            { class: "big" },
            count(report.shots.length, "shot"),
            " ",
            h("small", {}, `${lengthText(duration / report.shots.length)} on average`),
          ),
        ),
      ),
    );
}

function fillStoryboard() {
  if (!pictures.length) return;
  byId("storyboard-card").hidden = false;
  byId("storyboard-count").textContent = count(pictures.length, "picture");
  byId("storyboard").append(
    ...pictures.map((p, n) => {
      const title = p.label || at(chapters, p.time_s)?.label || "";
      return h(
        "button",
        {
          type: "button",
          class: "shot",
          "data-n": n,
          "aria-label": `Go to ${clock(p.time_s)} ${title}`,
          title: `${exactClock(p.time_s)} ${title}`,
          onclick: () => go(p.time_s),
        },
        h("img", { src: jpegUrl(p), alt: "", loading: "lazy", decoding: "async" }),
        h("span", {}, h("b", {}, clock(p.time_s)), title),
      );
    }),
  );
}

function fillChapters() {
  if (chapters.length) byId("chapters-card").hidden = false;
  byId("chapters").append(
    ...chapters.map(f =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", "data-id": f.id, onclick: () => go(f.start_s) },
          h("span", { class: "at" }, clock(f.start_s)),
          h("span", { class: "title" }, f.label || words(f.kind)),
          h("span", { class: "for" }, lengthText(f.end_s - f.start_s)),
        ),
      ),
    ),
  );
}

function fillSummary() {
  const task = taskNamed("summary"),
    lines = ofTask("summary"),
    text = task && typeof task.data.text === "string" ? task.data.text : "";
  if (!task || !(lines.length || text || task.reason)) return;
  byId("summary-card").hidden = false;
  if (lines.length)
    byId("summary").append(
      ...lines.map(f =>
        h(
          "button",
          { type: "button", class: "line", title: `${exactClock(f.start_s)} – ${exactClock(f.end_s)}`, onclick: () => go(f.start_s) },
          h("b", {}, clock(f.start_s)),
          h("span", {}, f.label || f.explanation),
        ),
      ),
    );
  else if (text) byId("summary").append(h("p", {}, text));
  if (task.reason) byId("summary").append(h("p", { class: "muted" }, sentence(task.reason)));
}

function closeSide() {
  if (["summary-card", "texts-card", "chapters-card"].every(id => byId(id).hidden)) document.querySelector(".columns").classList.add("alone");
}

function fillAbout() {
  const settings = JSON.stringify(report.settings, null, 2),
    list = h("dl", {});
  const row = (name, ...value) => list.append(h("dt", {}, name), h("dd", {}, ...value));
  row("System", seenBy());
  row("Video", `SHA-256 ${report.video_id}`);
  row("Request", report.request_id);
  row("Settings digest", report.digest);
  if (report.clock) row("Ticks", `1 tick = ${report.clock.time_base} s, 0 s = ${report.clock.origin_s} s on the stream's own clock`);
  for (const [stage, seconds] of Object.entries(report.timings_s)) row(`Time: ${stage}`, lengthText(seconds));
  if (report.missing.length) row("Not decoded", report.missing.map(s => `${exactClock(s.start_s)} – ${exactClock(s.end_s)}`).join(", "));
  for (const warning of report.media.warnings || []) row("File", sentence(String(warning)));
  if (media.proxy) row("Player", "plays a small copy made for browsers; times are those of the original");
  row("Settings", h("pre", {}, settings));
  byId("about").append(list);
}

function go(time) {
  player.seek(time);
  timeline.reveal(player.time);
}

function showClock(time) {
  const [main, rest] = clockParts(time);
  byId("clock").replaceChildren(main, h("span", { class: "ms" }, rest), h("small", {}, `  / ${clock(duration)}`));
  const on = stops.filter(f => f.start_s <= time && time < f.end_s).at(-1),
    chapter = at(chapters, time);
  byId("here").textContent = on ? on.label || words(on.kind) : chapter ? chapter.label : "";
}

function markCurrent(time) {
  const chapter = at(chapters, time),
    n = lastBefore(pictures, time, p => p.time_s);
  for (const button of byId("chapters").querySelectorAll("button")) toggleCurrent(button, chapter && button.dataset.id === chapter.id);
  for (const button of byId("storyboard").children) toggleCurrent(button, Number(button.dataset.n) === n);
  table.mark(time);
}
function toggleCurrent(element, on) {
  if (on) element.setAttribute("aria-current", "true");
  else element.removeAttribute("aria-current");
}

const timeline = new Timeline(byId("timeline"));
const table = new Findings();

function start() {
  fillHead();
  fillNotice();
  fillOverview();
  fillStoryboard();
  fillChapters();
  fillSummary();
  fillTexts();
  closeSide();
  fillAbout();
  table.start();
  let marked = -1;
  player.watchers.push(time => {
    showClock(time);
    timeline.place(time);
    if (!player.video.paused && player.ready && time > timeline.end) timeline.show(time, timeline.span);
    if (Math.abs(time - marked) >= 0.2) {
      marked = time;
      markCurrent(time);
    }
  });
  byId("previous").addEventListener("click", () => neighbour(-1));
  byId("next").addEventListener("click", () => neighbour(1));
  byId("share").addEventListener("click", shareLink);
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("zoom-in").addEventListener("click", () => timeline.zoom(0.5));
  byId("zoom-out").addEventListener("click", () => timeline.zoom(2));
  byId("zoom-fit").addEventListener("click", () => timeline.fit());
  window.addEventListener("hashchange", seekFromLink);
  startPlayer();
  startKeys();
  if (!seekFromLink()) player.tell();
}
start();
