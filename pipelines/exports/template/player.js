// Where the film stands. Works without the film too: then the time is the page's own, and the storyboard is the picture.

const player = {
  video: byId("video"),
  time: 0,
  watchers: [],
  ready: false,

  /** Go to a time; `watchers` hear of it at once. */
  seek(seconds) {
    this.time = Math.min(Math.max(0, seconds), Math.max(0, duration - 0.001));
    if (this.ready) this.video.currentTime = this.time;
    this.tell();
  },
  step(seconds) {
    this.seek(this.time + seconds);
  },
  toggle() {
    if (!this.ready) return toast("The video file is not here to play; the timeline still works.");
    if (this.video.paused) this.video.play().catch(() => toast("The browser did not start the video."));
    else this.video.pause();
  },
  tell() {
    for (const watch of this.watchers) watch(this.time);
  },
  follow() {
    if (!this.ready || this.video.seeking) return;
    this.time = this.video.currentTime;
    this.tell();
  },
  load(href) {
    this.ready = false;
    this.video.src = href;
  },
};

function absent(text, where) {
  player.ready = false;
  player.video.hidden = true;
  byId("absent").hidden = false;
  byId("screen").classList.toggle("bare", !pictures.length);
  byId("absent-title").textContent = text;
  byId("absent-where").textContent = where;
  showStill(player.time);
}

function showStill(time) {
  if (byId("absent").hidden) return;
  const picture = nearestPicture(time),
    still = byId("still");
  still.hidden = !picture;
  if (picture && still.dataset.at !== String(picture.time_s)) {
    still.src = jpegUrl(picture);
    still.dataset.at = picture.time_s;
    still.alt = `Storyboard picture at ${clock(picture.time_s)}`;
  }
}

function startPlayer() {
  const { video } = player,
    sources = [media.proxy, media.media].filter(Boolean);
  const next = () =>
    sources.length
      ? player.load(sources.shift())
      : absent(
          "The video cannot be played here.",
          `${report.name} is not where this page expects it, or this browser does not know its format. Times, findings and pictures are all here.`,
        );
  video.addEventListener("error", next);
  video.addEventListener("loadedmetadata", () => {
    player.ready = true;
    video.hidden = false;
    byId("absent").hidden = true;
    byId("screen").classList.remove("bare");
    if (player.time > 0) video.currentTime = player.time;
    showPlace(player.time);
  });
  for (const event of ["timeupdate", "seeked", "pause"]) video.addEventListener(event, () => player.follow());
  const frame = () => {
    if (!video.paused && !video.ended) {
      player.follow();
      requestAnimationFrame(frame);
    }
  };
  video.addEventListener("play", () => requestAnimationFrame(frame));
  byId("pick").addEventListener("change", event => {
    const file = event.target.files[0];
    if (file) {
      video.hidden = false;
      player.load(URL.createObjectURL(file));
    }
  });
  player.watchers.push(showStill, showPlace);
  window.addEventListener("resize", () => showPlace(player.time));
  byId("still").addEventListener("load", () => showPlace(player.time));
  next();
}

/** Frame what the finding on now points at: `data.box` is (left, top, right, bottom) as shares of the picture. */
function showPlace(time) {
  const frame = byId("place"),
    still = byId("still"),
    shown = player.ready ? player.video : still.hidden ? null : still;
  const found =
    shown &&
    stops.find(
      f =>
        f.start_s <= time &&
        time < f.end_s &&
        Array.isArray(f.data.box) &&
        f.data.box.length === 4 &&
        f.data.box.every(v => v >= 0 && v <= 1) &&
        (f.data.box[2] - f.data.box[0]) * (f.data.box[3] - f.data.box[1]) < 0.8,
    ); // a frame around everything points at nothing
  const [wide, high] = shown === still ? [still.naturalWidth, still.naturalHeight] : shown ? [shown.videoWidth, shown.videoHeight] : [0, 0];
  frame.hidden = !found || !wide;
  if (frame.hidden) return;
  const screen = byId("screen"),
    scale = Math.min(screen.clientWidth / wide, screen.clientHeight / high),
    [x0, y0, x1, y1] = found.data.box;
  const left = (screen.clientWidth - wide * scale) / 2,
    top = (screen.clientHeight - high * scale) / 2;
  Object.assign(frame.style, {
    left: `${left + x0 * wide * scale}px`,
    top: `${top + y0 * high * scale}px`,
    width: `${(x1 - x0) * wide * scale}px`,
    height: `${(y1 - y0) * high * scale}px`,
  });
}

/** The finding before or after now. Half a second of slack, so that "previous" leaves the one it just went to. */
function neighbour(direction) {
  const now = player.time;
  const found = direction > 0 ? stops.find(f => f.start_s > now + 0.02) : [...stops].reverse().find(f => f.start_s < now - 0.5);
  if (!found) return toast(stops.length ? `No ${direction > 0 ? "later" : "earlier"} finding.` : "There are no findings to go to.");
  player.seek(found.start_s);
  timeline.reveal(found.start_s);
  toast(`${found.label || words(found.kind)} · ${exactClock(found.start_s)}`);
}

function frameLength() {
  const [up, down] = String(report.media.frame_rate || "25")
      .split("/")
      .map(Number),
    rate = up / (down || 1);
  return rate > 0 ? 1 / rate : 0.04;
}

const KEYS = {
  " ": () => player.toggle(),
  k: () => player.toggle(),
  j: () => player.step(-10),
  l: () => player.step(10),
  ArrowLeft: e => player.step(e.shiftKey ? -5 : -1),
  ArrowRight: e => player.step(e.shiftKey ? 5 : 1),
  ",": () => player.step(-frameLength()),
  ".": () => player.step(frameLength()),
  "[": () => neighbour(-1),
  p: () => neighbour(-1),
  "]": () => neighbour(1),
  n: () => neighbour(1),
  "+": () => timeline.zoom(0.5),
  "=": () => timeline.zoom(0.5),
  "-": () => timeline.zoom(2),
  0: () => timeline.fit(),
  m: () => {
    player.video.muted = !player.video.muted;
    toast(player.video.muted ? "Sound off" : "Sound on");
  },
  "?": () => byId("help").showModal(),
};

function startKeys() {
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open || event.target.closest("input, select, textarea")) return;
    if (event.target === byId("canvas") && (event.key === "Home" || event.key === "End")) {
      event.preventDefault();
      return player.seek(event.key === "Home" ? 0 : duration);
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!(key in KEYS) || (key === " " && event.target.closest("button, summary, a"))) return;
    if (key.startsWith("Arrow") && event.target.closest(".strip, .scroll") && event.target.matches(".strip, .scroll")) return;
    event.preventDefault();
    KEYS[key](event);
  });
}

/** #t=12.3, as in media fragments. */
function seekFromLink() {
  const match = /[#&]t=([\d.]+)/.exec(location.hash);
  if (match) {
    player.seek(Number(match[1]));
    timeline.reveal(player.time);
  }
  return Boolean(match);
}

async function shareLink() {
  const link = `${location.href.split("#")[0]}#t=${+player.time.toFixed(3)}`;
  try {
    history.replaceState(null, "", link);
  } catch {
    /* some browsers refuse on file://; the copied link still works */
  }
  try {
    await navigator.clipboard.writeText(link);
    toast(`Link to ${exactClock(player.time)} copied`);
  } catch {
    toast(`Link: ${link}`);
  }
}
