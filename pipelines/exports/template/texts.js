// What was read in the pictures and heard in the sound: a lane of the timeline, and a list that can be searched.

const KINDS = { caption: "caption", lower_third: "lower third", card: "card", credits: "credits", slate: "slate", text: "text" };
const onScreen = report.texts || [],
  spoken = report.spoken || [];
const said = [
  ...onScreen.map(t => ({ ...t, sort: KINDS[t.kind] || words(t.kind), shown: t.text.replace(/\n/g, " · ") })),
  ...spoken.map(t => ({ ...t, sort: "speech", shown: t.text })),
].sort((a, b) => a.start_s - b.start_s);
const MOST_LINES = 200;

function textLanes() {
  const lane = (name, list, tint) => ({
    name,
    height: 20,
    paint: (view, lane) => paintSaid(view, lane, list, tint),
    tell: t => tellSaid(list, t),
  });
  return [
    ...(onScreen.length ? [lane("Text", onScreen, "chapters")] : []),
    ...(spoken.length ? [lane("Speech", spoken, "loudness")] : []),
  ];
}

function paintSaid(view, lane, list, tint) {
  const { pen, colour } = view;
  for (const t of list) {
    const a = view.x(t.start_s),
      b = Math.max(a + 2, view.x(t.end_s));
    if (b < view.gutter || a > view.width) continue;
    const stays = t.end_s - t.start_s > duration / 2 && list.length > 1; // a channel's logo would cover all others
    pen.globalAlpha = 0.25;
    pen.fillStyle = colour[tint];
    pen.fillRect(a, stays ? lane.top + lane.height - 3 : lane.top, b - a, stays ? 3 : lane.height);
    pen.globalAlpha = 1;
    if (!stays) paintText(view, t.text.replace(/\n/g, " · "), t.start_s, t.end_s, lane.top + lane.height / 2, colour.ink);
  }
}

function tellSaid(list, time) {
  return list
    .filter(t => t.start_s <= time && time < t.end_s)
    .slice(0, 3)
    .map(t => h("div", {}, `“${t.text.replace(/\n/g, " · ").slice(0, 120)}” · ${percentText(t.confidence)}`));
}

function fillTexts() {
  if (!said.length) return;
  byId("texts-card").hidden = false;
  const engines = [...new Set(spoken.map(t => t.engine))];
  byId("texts-from").textContent = engines.length ? `speech: rough transcript by ${engines.join(", ")}` : "read in the pictures";
  byId("texts-search").addEventListener("input", event => listTexts(event.target.value));
  listTexts("");
}

function listTexts(wanted) {
  const parts = wanted.toLowerCase().split(/\s+/).filter(Boolean),
    found = said.filter(t => parts.every(p => t.shown.toLowerCase().includes(p)));
  byId("texts").replaceChildren(...found.slice(0, MOST_LINES).map(saidLine));
  byId("texts-count").textContent =
    found.length > MOST_LINES ? `the first ${MOST_LINES} of ${found.length}` : found.length ? count(found.length, "line") : "no line holds these words";
}

const saidLine = t =>
  h(
    "button",
    { type: "button", class: "line", title: `${exactClock(t.start_s)} – ${exactClock(t.end_s)} · ${percentText(t.confidence)} sure`, onclick: () => go(t.start_s) },
    h("b", {}, clock(t.start_s)),
    h("span", {}, t.shown, " ", h("small", { class: "muted" }, t.sort)),
  );
