"use strict";
// What every part of the page knows: the report, how times read, how elements are made, where the film stands.

const report = JSON.parse(document.getElementById("report-data").textContent);
const media = JSON.parse(document.getElementById("media-data").textContent);
const duration = report.coverage.seconds_total || Math.max(0.001, ...report.tasks.flatMap(t => t.findings.map(f => f.end_s)));
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;

const TASKS = {
  ads: { name: "Ads", sign: "■" },
  anomalies: { name: "Anomalies", sign: "▲" },
  chapters: { name: "Chapters", sign: "●" },
  summary: { name: "Summary", sign: "¶" },
  shots: { name: "Shots", sign: "▤" },
};
const taskLook = task => TASKS[task] || { name: words(task), sign: "◆" };
const taskColour = task => `var(--${task in TASKS ? (task === "shots" ? "muted" : task) : "other"})`;
const STATUS = { ok: "✓", empty: "○", degraded: "!", failed: "✕" };

const findings = report.tasks.flatMap(t => t.findings).sort((a, b) => a.start_s - b.start_s || b.end_s - a.end_s);
const accepted = findings.filter(f => f.state !== "rejected");
const chapters = accepted.filter(f => f.task === "chapters");
const HAVE_LISTS = new Set(["chapters", "summary", "shots"]); // shown in a list, a text or a lane of their own
const stops = accepted.filter(f => !HAVE_LISTS.has(f.task));
const taskNamed = name => report.tasks.find(t => t.task === name);
const ofTask = name => accepted.filter(f => f.task === name);

/** An element with properties and children; text is always text, never mark-up. */
function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key === "class") element.className = value;
    else if (key === "style") element.style.cssText = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter(c => c != null));
  return element;
}
const byId = id => document.getElementById(id);

function words(text) {
  const spaced = String(text).replace(/_/g, " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
/** A probability; none is ever certain. */
const percentText = share => (share >= 0.995 ? "> 99 %" : share < 0.005 ? "< 1 %" : `${Math.round(share * 100)} %`);
function count(number, one, many) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many || one + "s"}`;
}

/** 3725.48 -> "1:02:05" and ".480"; hours only where the film has them. */
function clockParts(seconds) {
  const all = Math.max(0, Math.round(seconds * 1000)),
    whole = Math.floor(all / 1000);
  const hours = Math.floor(whole / 3600),
    minutes = Math.floor(whole / 60) % 60,
    pad = n => String(n).padStart(2, "0");
  const main = duration >= 3600 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
  return [main, "." + String(all % 1000).padStart(3, "0")];
}
const clock = seconds => clockParts(seconds)[0];
const exactClock = seconds => clockParts(seconds).join("");
const clockNode = seconds => {
  const [main, rest] = clockParts(seconds);
  return [main, h("span", { class: "ms" }, rest)];
};

/** A length as a person says it. */
function lengthText(seconds) {
  if (seconds < 10) return `${+seconds.toFixed(2)} s`;
  if (seconds < 60) return `${+seconds.toFixed(1)} s`;
  const all = Math.round(seconds),
    pad = n => String(n).padStart(2, "0");
  return all < 3600
    ? `${Math.floor(all / 60)}:${pad(all % 60)} min`
    : `${Math.floor(all / 3600)}:${pad(Math.floor(all / 60) % 60)}:${pad(all % 60)} h`;
}

/** Seconds covered by spans that may overlap. */
function covered(spans) {
  let total = 0,
    end = 0;
  for (const s of [...spans].sort((a, b) => a.start_s - b.start_s)) {
    total += Math.max(0, s.end_s - Math.max(s.start_s, end));
    end = Math.max(end, s.end_s);
  }
  return total;
}

/** Index of the last item whose time is not after `time`, -1 where all are. */
function lastBefore(items, time, timeOf) {
  let low = 0,
    high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timeOf(items[middle]) <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
const at = (items, time) => {
  const i = lastBefore(items, time, s => s.start_s);
  return i >= 0 && time < items[i].end_s ? items[i] : null;
};
const jpegUrl = frame => `data:image/jpeg;base64,${frame.picture.base64}`;
const pictures = report.storyboard.filter(frame => frame.picture.base64).sort((a, b) => a.time_s - b.time_s);
function nearestPicture(time) {
  const i = lastBefore(pictures, time, p => p.time_s),
    near = [pictures[i], pictures[i + 1]].filter(Boolean);
  return near.sort((a, b) => Math.abs(a.time_s - time) - Math.abs(b.time_s - time))[0] || null;
}

let toastTimer = 0;
function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  box.classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.classList.remove("on"), 2600);
}
