// The lanes of the timeline: what each paints and what it tells under the pointer.

function lanes() {
  const list = [];
  if (chapters.length) list.push({ name: "Chapters", height: 28, paint: paintChapters, tell: t => tellFindings(chapters, t) });
  const others = report.tasks.map(t => t.task).filter(t => !(t in TASKS) && findings.some(f => f.task === t));
  if (taskNamed("ads")) {
    const all = findings.filter(f => f.task === "ads"),
      curve = taskNamed("ads").curves.ads,
      drawn = all.length > 0 || curve;
    list.push({
      name: "Ads",
      height: drawn ? 42 : 30,
      paint: (view, lane) => (drawn ? paintAds(view, lane, all, curve) : paintNone(view, lane, taskNamed("ads"))),
      tell: t => [...tellFindings(all, t), ...tellCurve(curve, t, "probability", percentText)],
    });
  }
  const anomalies = taskNamed("anomalies");
  if (anomalies) {
    const all = findings.filter(f => f.task === "anomalies"),
      curve = anomalies.curves.anomaly,
      threshold = Number(anomalies.data.threshold);
    const drawn = all.length > 0 || (curve && curve.values.some(v => v > 0));
    list.push({
      name: "Anomalies",
      height: drawn ? 72 : 30,
      paint: (view, lane) => (drawn ? paintAnomalies(view, lane, all, curve, threshold) : paintNone(view, lane, anomalies)),
      tell: t => [...tellFindings(all, t), ...tellCurve(curve, t, "score", v => v.toFixed(2))],
    });
  }
  for (const task of others) {
    const all = findings.filter(f => f.task === task);
    list.push({
      name: taskLook(task).name,
      height: 24,
      paint: (view, lane) => all.forEach(f => paintFinding(view, lane, f, 0, lane.height)),
      tell: t => tellFindings(all, t),
    });
  }
  list.push(...textLanes());
  const loudness = report.curves.loudness_lufs;
  if (loudness && loudness.values.length)
    list.push({
      name: "Loudness",
      height: 46,
      paint: (view, lane) => paintLoudness(view, lane, loudness),
      tell: t => tellCurve(loudness, t, "loudness", v => `${v.toFixed(1)} LUFS`),
    });
  for (const [name, curve] of Object.entries(report.curves)) {
    if (name === "loudness_lufs" || !curve.values.length) continue;
    const most = usualMost(curve);
    list.push({
      name: words(name),
      height: 30,
      paint: (view, lane) => paintCurve(view, lane, curve, view.colour.loudness, v => Math.min(1, Math.max(0, v / most))),
      tell: t => tellCurve(curve, t, name.replace(/_/g, " "), v => String(+v.toPrecision(3))),
    });
  }
  if (report.shots.length)
    list.push({
      name: "Shots",
      height: 22,
      paint: paintShots,
      tell: t => {
        const s = shotAt(t);
        return s ? [h("div", {}, s.number === 1 ? "first shot" : `opened by a ${s.opened_by}`)] : [];
      },
    });
  return list;
}

/** What nearly all of a curve stays below: one spike must not flatten the rest. */
function usualMost(curve) {
  const sorted = curve.values.filter(v => v !== null).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * 0.98)] || sorted[sorted.length - 1] || 1;
}

function shotAt(time) {
  const i = lastBefore(report.shots, time, s => s.start_s),
    shot = report.shots[i];
  return shot && time < shot.end_s ? { ...shot, number: i + 1 } : null;
}

function tellFindings(all, time) {
  return all
    .filter(f => f.start_s <= time && time < f.end_s)
    .slice(0, 3)
    .map(f =>
      h(
        "div",
        { class: "row", style: `--c: ${taskColour(f.task)}` },
        h("i", {}, taskLook(f.task).sign),
        h(
          "span",
          {},
          `${f.label || words(f.kind)}${f.task === "chapters" ? "" : ` · ${percentText(f.score)}`}${f.state === "found" ? "" : ` · ${f.state}`}`,
        ),
      ),
    );
}

function tellCurve(curve, time, name, text) {
  if (!curve) return [];
  const i = lastBefore(curve.times_s, time, t => t);
  return i < 0 ? [] : [h("div", {}, `${name} ${curve.values[i] == null ? "none (silence)" : text(curve.values[i])}`)];
}

function paintFinding(view, lane, f, top, height) {
  const { pen, colour } = view,
    x = view.x(f.start_s),
    width = Math.max(2, view.x(f.end_s) - x),
    tint = colour[f.task] || colour.other;
  if (x > view.width || x + width < view.gutter) return;
  const y = lane.top + top;
  if (f.state === "rejected") {
    pen.setLineDash([3, 3]);
    pen.strokeStyle = colour.faint;
    pen.lineWidth = 1;
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), height - 1);
    pen.setLineDash([]);
    return;
  }
  pen.fillStyle = tint;
  pen.globalAlpha = 0.35 + 0.65 * f.score;
  pen.beginPath();
  pen.roundRect(x, y, width, height, Math.min(3, width / 2));
  pen.fill();
  pen.globalAlpha = 1;
}

/** `text` in [start, end) of the film, shortened to fit, or not at all. */
function paintText(view, text, start, end, middle, ink) {
  const { pen } = view,
    a = Math.max(view.gutter, view.x(start)) + 7,
    room = Math.min(view.width, view.x(end)) - a - 5;
  if (room < 16) return;
  let shown = text;
  if (pen.measureText(shown).width > room) {
    while (shown && pen.measureText(shown + "…").width > room) shown = shown.slice(0, -1);
    shown = shown.length > 2 ? shown + "…" : "";
  }
  pen.fillStyle = ink;
  pen.fillText(shown, a, middle + 0.5);
}

/** An empty lane says that it was looked at, or why not. */
function paintNone(view, lane, task) {
  const text = task.status === "failed" ? `no answer: ${task.reason}` : "none found";
  view.pen.fillStyle = view.colour.muted;
  view.pen.fillText(text, view.gutter + 7, lane.top + lane.height / 2);
}

function paintChapters(view, lane) {
  const { pen, colour } = view;
  chapters.forEach((f, n) => {
    const a = view.x(f.start_s),
      b = view.x(f.end_s);
    if (b < view.gutter || a > view.width) return;
    pen.globalAlpha = n % 2 ? 0.16 : 0.26;
    pen.fillStyle = colour.chapters;
    pen.fillRect(a, lane.top, b - a, lane.height);
    pen.globalAlpha = 1;
    pen.fillRect(a, lane.top, 2, lane.height);
    paintText(view, f.label || words(f.kind), f.start_s, f.end_s, lane.top + lane.height / 2, colour.ink);
  });
}

const INK_ON_ADS = "#1d1204"; // dark on amber in both themes

/** Breaks above, the spots in them below; a spot outside any break fills the lane; the probability second by second behind them. */
function paintAds(view, lane, all, curve) {
  if (curve) paintCurve(view, lane, curve, view.colour.ads, v => Math.min(1, Math.max(0, v)), 0.4);
  const breaks = all.filter(f => f.kind !== "spot"),
    half = lane.height / 2;
  for (const f of breaks) {
    paintFinding(view, lane, f, 2, half - 2);
    paintText(
      view,
      f.label || words(f.kind),
      f.start_s,
      f.end_s,
      lane.top + 1 + half / 2,
      f.state === "rejected" ? view.colour.muted : INK_ON_ADS,
    );
  }
  for (const f of all.filter(f => f.kind === "spot")) {
    const inside = breaks.some(b => b.start_s <= f.start_s + 0.5 && f.end_s <= b.end_s + 0.5);
    paintFinding(view, lane, f, inside ? half + 3 : 2, inside ? half - 5 : lane.height - 4);
    if (inside && view.x(f.end_s) - view.x(f.start_s) > 6) {
      view.pen.fillStyle = view.colour.well;
      view.pen.fillRect(view.x(f.end_s) - 1, lane.top + half + 3, 1.5, half - 5);
    }
  }
}

function paintAnomalies(view, lane, all, curve, threshold) {
  const { pen, colour } = view,
    inner = { top: lane.top, height: lane.height - 10 };
  for (const f of all)
    if (f.state !== "rejected") {
      pen.globalAlpha = 0.16;
      pen.fillStyle = colour.anomalies;
      const x = view.x(f.start_s);
      pen.fillRect(x, lane.top, Math.max(2, view.x(f.end_s) - x), lane.height);
      pen.globalAlpha = 1;
    }
  if (curve) {
    const most = Math.max(1, ...[threshold].filter(Number.isFinite));
    paintCurve(view, inner, curve, colour.anomalies, v => Math.min(1, Math.max(0, v / most)));
    if (Number.isFinite(threshold)) {
      const y = Math.round(inner.top + inner.height * (1 - Math.min(1, threshold / most) * 0.92) - 1) + 0.5;
      pen.setLineDash([5, 4]);
      pen.strokeStyle = colour.muted;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(view.gutter, y);
      pen.lineTo(view.width, y);
      pen.stroke();
      pen.setLineDash([]);
      const text = "alarm threshold",
        width = pen.measureText(text).width;
      pen.globalAlpha = 0.85;
      pen.fillStyle = colour.well;
      pen.fillRect(view.gutter + 3, y - 16, width + 8, 14);
      pen.globalAlpha = 1;
      pen.fillStyle = colour.muted;
      pen.fillText(text, view.gutter + 7, y - 9);
    }
  }
  for (const f of all) paintFinding(view, lane, f, lane.height - 9, 8);
}

const LOUD = -10,
  QUIET = -42; // LUFS; outside of these it is loud or quiet, and how much matters little
function paintLoudness(view, lane, curve) {
  const { pen, colour } = view;
  paintCurve(view, lane, curve, colour.loudness, v => Math.min(1, Math.max(0.02, (v - QUIET) / (LOUD - QUIET))));
  const y = Math.round(lane.top + lane.height * (1 - ((-23 - QUIET) / (LOUD - QUIET)) * 0.92) - 1) + 0.5;
  pen.strokeStyle = colour.faint;
  pen.setLineDash([1, 4]);
  pen.beginPath();
  pen.moveTo(view.gutter, y);
  pen.lineTo(view.width, y);
  pen.stroke();
  pen.setLineDash([]);
}

/** Points [x, value] of the part of a curve on view; of many in one pixel column the highest. */
function pointsOnView(view, curve, step) {
  const { times_s: times, values } = curve;
  const first = Math.max(
      0,
      lastBefore(times, view.start, t => t),
    ),
    last = Math.min(times.length - 1, lastBefore(times, view.end, t => t) + 1),
    scale = view.plot / view.span;
  if (last - first <= 2 * view.plot) {
    const points = [];
    for (let i = first; i <= last; i++) points.push([view.gutter + (times[i] - view.start) * scale, values[i]]);
    return points.filter(([x]) => x <= view.width + step * scale);
  }
  const columns = new Array(Math.ceil(view.plot) + 1).fill(undefined);
  for (let i = first; i <= last; i++) {
    const n = Math.min(columns.length - 1, Math.max(0, Math.round((times[i] - view.start) * scale)));
    if (columns[n] == null || values[i] > columns[n]) columns[n] = values[i];
  }
  return columns.map((v, n) => [view.gutter + n, v]).filter(([, v]) => v !== undefined);
}

/** A curve as an area, with gaps where it has none. share: value -> [0, 1]. */
function paintCurve(view, lane, curve, tint, share, strength = 1) {
  const { pen } = view,
    times = curve.times_s,
    bottom = lane.top + lane.height,
    step = times.length > 1 ? (times[times.length - 1] - times[0]) / (times.length - 1) : 1,
    far = Math.max(2, ((3.5 * step) / view.span) * view.plot);
  const runs = [[]];
  let last = null;
  for (const [x, v] of pointsOnView(view, curve, step)) {
    if (v === null || (last !== null && x - last > far)) runs.push([]);
    if (v !== null) runs[runs.length - 1].push([x, bottom - share(v) * lane.height * 0.92 - 1]);
    last = x;
  }
  for (const run of runs.filter(r => r.length)) {
    const trace = () => {
      pen.beginPath();
      run.forEach(([x, y], n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    };
    trace();
    pen.lineTo(run[run.length - 1][0], bottom);
    pen.lineTo(run[0][0], bottom);
    pen.closePath();
    pen.globalAlpha = 0.28 * strength;
    pen.fillStyle = tint;
    pen.fill();
    pen.globalAlpha = strength;
    trace();
    pen.strokeStyle = tint;
    pen.lineWidth = 1.25;
    pen.lineJoin = "round";
    pen.stroke();
    pen.globalAlpha = 1;
  }
}

/** Shots as blocks where there is room, as density of cuts where there is not. */
function paintShots(view, lane) {
  const { pen, colour } = view,
    shots = report.shots,
    from = Math.max(
      0,
      lastBefore(shots, view.start, s => s.start_s),
    );
  let to = from;
  while (to < shots.length && shots[to].start_s < view.end) to++;
  pen.fillStyle = colour.shots;
  if (view.plot / Math.max(1, to - from) >= 5) {
    for (let i = from; i < to; i++) {
      const a = view.x(shots[i].start_s),
        b = view.x(shots[i].end_s);
      pen.globalAlpha = i % 2 ? 0.45 : 0.8;
      pen.beginPath();
      if (shots[i].opened_by === "dissolve" || shots[i].opened_by === "fade") {
        const slope = Math.min(8, (b - a) / 2);
        pen.moveTo(a - slope / 2, lane.top + lane.height);
        pen.lineTo(a + slope / 2, lane.top);
        pen.lineTo(b, lane.top);
        pen.lineTo(b, lane.top + lane.height);
      } else pen.rect(a, lane.top, Math.max(0.5, b - a - 0.75), lane.height);
      pen.fill();
    }
  } else {
    const wide = 3,
      bins = new Array(Math.ceil(view.plot / wide) + 1).fill(0);
    for (let i = from; i < to; i++) bins[Math.max(0, Math.floor((view.x(shots[i].start_s) - view.gutter) / wide))]++;
    const most = Math.max(...bins);
    bins.forEach((n, i) => {
      if (n) {
        pen.globalAlpha = 0.35 + (0.6 * n) / most;
        const tall = lane.height * (0.3 + (0.7 * n) / most);
        pen.fillRect(view.gutter + i * wide, lane.top + lane.height - tall, wide - 0.75, tall);
      }
    });
  }
  pen.globalAlpha = 1;
}
