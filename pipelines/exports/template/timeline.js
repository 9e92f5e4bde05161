// All lanes on one canvas: a film has thousands of shots, and elements for each would crawl.

const RULER = 26,
  OVERVIEW = 14,
  GAP = 9;

class Timeline {
  constructor(box) {
    this.box = box;
    this.canvas = box.querySelector("canvas");
    this.pen = this.canvas.getContext("2d");
    this.start = 0;
    this.end = duration;
    this.lanes = lanes();
    this.gutter = 0;
    this.drawn = 0;
    new ResizeObserver(() => this.resize()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.readColours();
      this.draw();
    });
    this.readColours();
    this.listen();
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    this.colour = Object.fromEntries(
      [
        "page",
        "card",
        "line",
        "ink",
        "muted",
        "faint",
        "well",
        "accent",
        "ads",
        "anomalies",
        "chapters",
        "summary",
        "other",
        "loudness",
        "shots",
        "failed",
        "degraded",
      ].map(n => [n, style.getPropertyValue("--" + n).trim()]),
    );
  }

  resize() {
    const width = this.box.clientWidth,
      ratio = window.devicePixelRatio || 1;
    this.width = width;
    this.gutter = width > 640 ? 96 : 0;
    let top = OVERVIEW + 6 + RULER;
    for (const lane of this.lanes) {
      if (!this.gutter) top += 15;
      lane.top = top;
      top += lane.height + GAP;
    }
    this.height = top;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(top * ratio);
    this.canvas.style.height = `${top}px`;
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.draw();
  }

  get span() {
    return this.end - this.start;
  }
  get plot() {
    return Math.max(1, this.width - this.gutter - 1);
  }
  x(time) {
    return this.gutter + ((time - this.start) / this.span) * this.plot;
  }
  time(x) {
    return this.start + ((x - this.gutter) / this.plot) * this.span;
  }
  overviewX(time) {
    return this.gutter + (time / duration) * this.plot;
  }

  /** Show [start, start + span), kept inside the film. */
  show(start, span) {
    const shortest = Math.min(duration, Math.max(0.5, frameLength() * 12));
    span = Math.min(duration, Math.max(shortest, span));
    this.start = Math.min(Math.max(0, start), duration - span);
    this.end = this.start + span;
    this.draw();
  }
  zoom(factor, around = this.start <= player.time && player.time <= this.end ? player.time : (this.start + this.end) / 2) {
    const share = (around - this.start) / this.span,
      span = Math.min(duration, this.span * factor);
    this.show(around - share * span, span);
  }
  fit() {
    this.show(0, duration);
  }
  reveal(time) {
    if (time < this.start || time > this.end) this.show(time - this.span / 2, this.span);
  }

  draw() {
    if (!this.drawn)
      this.drawn = requestAnimationFrame(() => {
        this.drawn = 0;
        this.paint();
      });
  }

  paint() {
    const { pen, colour } = this;
    if (!this.width) return;
    pen.clearRect(0, 0, this.width, this.height);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    this.paintOverview();
    this.paintRuler();
    for (const lane of this.lanes) {
      pen.fillStyle = colour.muted;
      if (this.gutter) pen.fillText(lane.name, 0, lane.top + Math.min(lane.height, 30) / 2);
      else pen.fillText(lane.name, 0, lane.top - 8);
      pen.save();
      pen.beginPath();
      pen.rect(this.gutter, lane.top, this.plot, lane.height);
      pen.clip();
      pen.fillStyle = colour.well;
      pen.fillRect(this.gutter, lane.top, this.plot, lane.height);
      lane.paint(this, lane);
      pen.restore();
    }
    this.paintMissing();
    this.place(player.time);
    byId("window").textContent =
      this.span < duration ? `${exactClock(this.start)} – ${exactClock(this.end)}` : `${clock(0)} – ${exactClock(duration)}`;
    byId("zoom-out").disabled = byId("zoom-fit").disabled = this.span >= duration * 0.9999;
  }

  paintOverview() {
    const { pen, colour } = this;
    pen.fillStyle = colour.well;
    pen.fillRect(this.gutter, 2, this.plot, OVERVIEW - 4);
    for (const f of stops) {
      pen.fillStyle = colour[f.task] || colour.other;
      const x = this.overviewX(f.start_s);
      pen.fillRect(x, f.task === "ads" ? 2 : 4, Math.max(1.5, this.overviewX(f.end_s) - x), f.task === "ads" ? OVERVIEW - 4 : OVERVIEW - 8);
    }
    const a = this.overviewX(this.start),
      b = this.overviewX(this.end);
    pen.globalAlpha = 0.72;
    pen.fillStyle = colour.card;
    pen.fillRect(this.gutter, 2, a - this.gutter, OVERVIEW - 4);
    pen.fillRect(b, 2, this.gutter + this.plot - b, OVERVIEW - 4);
    pen.globalAlpha = 1;
    pen.strokeStyle = colour.accent;
    pen.lineWidth = 1.5;
    pen.strokeRect(a + 0.75, 1.25, Math.max(3, b - a - 1.5), OVERVIEW - 2.5);
  }

  paintRuler() {
    const { pen, colour } = this,
      top = OVERVIEW + 6;
    const steps = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000];
    const step = steps.find(s => (s / this.span) * this.plot >= 84) || 36000;
    const first = Math.ceil(this.start / step - 1e-9);
    pen.lineWidth = 1;
    for (let k = first; k * step <= this.end + 1e-9; k++) {
      const x = Math.round(this.x(k * step)) + 0.5,
        text = step < 1 ? exactClock(k * step).slice(0, -1) : clock(k * step);
      pen.strokeStyle = colour.line;
      pen.beginPath();
      pen.moveTo(x, top + 1);
      pen.lineTo(x, this.height - GAP);
      pen.stroke();
      pen.fillStyle = colour.muted;
      if (x + 5 + pen.measureText(text).width < this.width) pen.fillText(text, x + 5, top + 9);
    }
  }

  /** Stretches that could not be decoded: drawn as what they are, across all lanes. */
  paintMissing() {
    const { pen, colour } = this;
    for (const gap of report.missing) {
      const a = Math.max(this.gutter, this.x(gap.start_s)),
        b = Math.min(this.gutter + this.plot, this.x(gap.end_s)),
        top = OVERVIEW + 6 + RULER - 4;
      if (b <= this.gutter || a >= this.width) continue;
      pen.save();
      pen.beginPath();
      pen.rect(a, top, Math.max(2, b - a), this.height - GAP - top);
      pen.clip();
      pen.fillStyle = colour.card;
      pen.fillRect(a, top, Math.max(2, b - a), this.height);
      pen.strokeStyle = colour.faint;
      pen.lineWidth = 1;
      pen.globalAlpha = 0.6;
      for (let x = a - this.height - (a % 9); x < b; x += 9) {
        pen.beginPath();
        pen.moveTo(x, this.height);
        pen.lineTo(x + this.height, 0);
        pen.stroke();
      }
      pen.globalAlpha = 1;
      const text = "not decoded",
        width = pen.measureText(text).width + 12;
      if (b - a > width) {
        pen.fillStyle = colour.card;
        pen.fillRect((a + b - width) / 2, top + 26, width, 18);
        pen.fillStyle = colour.ink;
        pen.fillText(text, (a + b - width) / 2 + 6, top + 35);
      }
      pen.restore();
    }
  }

  /** Put the playhead; cheap, so that it runs with every frame of the film. */
  place(time) {
    const x = this.x(time),
      inside = x >= this.gutter - 0.5 && x <= this.gutter + this.plot + 0.5;
    byId("playhead").hidden = !inside;
    byId("playhead").style.transform = `translateX(${x}px)`;
    this.canvas.setAttribute("aria-valuenow", time.toFixed(2));
    this.canvas.setAttribute("aria-valuetext", `${exactClock(time)} of ${clock(duration)}`);
  }

  listen() {
    const { canvas } = this,
      fingers = new Map();
    let grip = null;
    canvas.setAttribute("aria-valuemax", duration.toFixed(2));
    const point = event => {
      const r = canvas.getBoundingClientRect();
      return { x: event.clientX - r.left, y: event.clientY - r.top };
    };
    canvas.addEventListener(
      "wheel",
      event => {
        const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
          event.preventDefault();
          return this.show(this.start + (sideways / this.plot) * this.span, this.span);
        }
        if (event.deltaY > 0 && this.span >= duration * 0.9999) return; // nothing left to zoom out of: let the page scroll
        event.preventDefault();
        this.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.004), this.time(Math.max(this.gutter, point(event).x)));
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", event => {
      const p = point(event);
      fingers.set(event.pointerId, p.x);
      canvas.setPointerCapture(event.pointerId);
      if (fingers.size === 1) grip = { x: p.x, start: this.start, moved: false, overview: p.y < OVERVIEW + 4 };
      else {
        const [a, b] = [...fingers.values()];
        grip = { pinch: Math.abs(a - b), span: this.span, around: this.time((a + b) / 2), moved: true };
      }
    });
    canvas.addEventListener("pointermove", event => {
      const p = point(event);
      if (fingers.has(event.pointerId)) fingers.set(event.pointerId, p.x);
      if (!grip) return this.hover(p);
      if (grip.pinch && fingers.size === 2) {
        const [a, b] = [...fingers.values()];
        this.show(this.start, this.span);
        return this.zoom((grip.span * grip.pinch) / Math.max(8, Math.abs(a - b)) / this.span, grip.around);
      }
      if (Math.abs(p.x - grip.x) > 4) grip.moved = true;
      if (!grip.moved) return;
      canvas.classList.add("panning");
      this.hideTip();
      if (grip.overview) this.show(((p.x - this.gutter) / this.plot) * duration - this.span / 2, this.span);
      else if (this.span >= duration * 0.9999)
        player.seek(this.time(p.x)); // nothing to pan: the drag scrubs
      else this.show(grip.start - ((p.x - grip.x) / this.plot) * this.span, this.span);
    });
    const release = event => {
      fingers.delete(event.pointerId);
      if (grip && !grip.moved && event.type === "pointerup") {
        const p = point(event);
        if (grip.overview) {
          const t = ((p.x - this.gutter) / this.plot) * duration;
          player.seek(t);
          this.reveal(player.time);
        } else if (p.x >= this.gutter - 4) player.seek(this.time(p.x));
      }
      canvas.classList.remove("panning");
      if (!fingers.size) grip = null;
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", () => this.hideTip());
  }

  hideTip() {
    byId("tip").hidden = byId("hoverline").hidden = true;
  }

  hover(p) {
    if (p.x < this.gutter) return this.hideTip();
    const overview = p.y < OVERVIEW + 4,
      time = Math.min(duration, overview ? ((p.x - this.gutter) / this.plot) * duration : this.time(p.x));
    const lane = this.lanes.find(l => p.y >= l.top && p.y < l.top + l.height),
      tip = byId("tip"),
      line = byId("hoverline");
    const picture = nearestPicture(time),
      gap = at(report.missing, time),
      shot = shotAt(time);
    const rows = gap ? [h("div", {}, `Not decoded${gap.reason ? `: ${gap.reason}` : ""}`)] : lane ? lane.tell(time) : [];
    tip.replaceChildren(
      ...(picture ? [h("img", { src: jpegUrl(picture), alt: "" })] : []),
      h("b", {}, exactClock(time)),
      ...rows,
      ...(shot
        ? [h("div", { class: "small" }, `Shot ${shot.number} of ${report.shots.length}, ${lengthText(shot.end_s - shot.start_s)}`)]
        : []),
      ...(picture ? [h("div", { class: "small" }, `Nearest picture: ${exactClock(picture.time_s)}`)] : []),
    );
    tip.hidden = line.hidden = false;
    line.style.transform = `translateX(${p.x}px)`;
    const left = p.x + 14 + tip.offsetWidth > this.width ? p.x - 14 - tip.offsetWidth : p.x + 14;
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${Math.max(0, Math.min(p.y - 20, this.height - tip.offsetHeight))}px`;
  }
}
