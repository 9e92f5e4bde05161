"""Made-up reports, as realistic as a page's reader would meet them: a long broadcast, a camera, a short clip, nothing, too little."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise

import av
import numpy as np
from numpy.typing import NDArray

from model.video import Clock, TimeSpan
from pipelines.findings import Coverage, Cue, Curve, Finding, KeyFrame, Report, Shot, Status, TaskResult, numbered, settings_digest
from pipelines.series import Missing

CLOCK = Clock(Fraction(1, 90_000))
SETTINGS = {
    "profile": "broadcast",
    "ads": {"min_break_s": 8.0},
    "anomalies": {"false_alarms_per_hour": 1.0},
    "algorithms": {"ads": "1", "shots": "1"},
}
MEDIA = {
    "format": "mov,mp4,m4a,3gp,3g2,mj2",
    "duration_s": 7200.0,
    "frame_rate": "25",
    "width_px": 1280,
    "height_px": 720,
    "streams": [
        {"index": 0, "kind": "video", "codec": "h264", "language": "", "title": ""},
        {"index": 1, "kind": "audio", "codec": "aac", "language": "eng", "title": ""},
    ],
    "warnings": [],
}
CHAPTER_TITLES = (
    "Opening", "The harbour at dawn", "A letter from Lisbon", "Market day", "The storm", "What the keeper saw", "Crossing",
    "The long night", "A bargain", "Low water", "The trial", "Homecoming",
)  # fmt: skip
BREAKS_S = ((1218.44, 1398.44), (3034.8, 3245.0), (5108.0, 5318.36))
ANOMALIES = (
    ("blackout", "The picture went black", 640.0, 652.5, 0.97),
    ("freeze", "The picture stood still", 2210.4, 2231.0, 0.93),
    ("wrong_way", "Movement against the usual direction", 4102.0, 4109.5, 0.71),
    ("intrusion", "Movement where nothing ever moves", 6480.0, 6497.0, 0.84),
)


@cache
def broadcast(shots: int = 1500, name: str = "Keeper of the Light (2026) – part 1.mp4") -> Report:
    """Two hours with three breaks of seven spots, one mid-roll spot, four anomalies, twelve chapters: 40 findings and more."""
    rng = np.random.default_rng(7)
    total_s = 7200.0
    cuts = np.sort(rng.choice(np.arange(50, int(total_s * 25) - 50), shots - 1, replace=False)) / 25
    return _report(
        name,
        total_s,
        (_ads(rng), _anomalies(rng, total_s), _chapters(total_s), _summary()),
        shots=_shots([0.0, *cuts.tolist(), total_s], rng),
        curves={"loudness_lufs": _loudness(rng, total_s)},
        storyboard=tuple(KeyFrame(t, scene(n)) for n, t in enumerate(np.linspace(30, total_s - 60, 36).round(2).tolist())),
    )


@cache
def clip(seconds: float = 14.0) -> Report:
    """A short clip: one chapter, one anomaly, no ads."""
    rng = np.random.default_rng(3)
    odd = Finding(
        "anomalies", "defocus", TimeSpan(6.2, 9.04), 0.62, "The picture lost its focus", "Edges are 0.41 of what is normal here.",
        (Cue("sharpness", 0.41, "0.41 x normal", TimeSpan(6.2, 9.04)),), {"zone": [3, 2]},
    )  # fmt: skip
    one = Finding("chapters", "chapter", TimeSpan(0.0, seconds), 0.5, "The whole clip")
    times = np.arange(0, seconds, 0.2)
    curve = Curve(tuple(times.round(2).tolist()), tuple((0.1 + 0.6 * np.exp(-((times - 7.5) ** 2) / 2)).round(4).tolist()))
    warming = "no recording of this source's ordinary life was given; the first 5.0 s were learned from and score 0"
    return _report(
        "skate #1?.mp4",
        seconds,
        (
            TaskResult("ads", Status.EMPTY, reason="looked at all 14.0 s, found no ad"),
            TaskResult("anomalies", Status.DEGRADED, (odd,), warming, {"anomaly": curve}, {"threshold": 0.45}),
            TaskResult("chapters", Status.OK, (one,)),
            TaskResult(
                "summary", Status.DEGRADED, reason="no subtitles: the storyboard is the summary", data={"storyboard": [2.0, 7.0, 12.0]}
            ),
        ),
        shots=(Shot(TimeSpan(0.0, 5.52), "start"), Shot(TimeSpan(5.52, seconds), "cut")),
        curves={"loudness_lufs": _loudness(rng, seconds)},
        storyboard=tuple(KeyFrame(t, scene(n + 40)) for n, t in enumerate((2.0, 7.0, 12.0))),
        status=Status.DEGRADED,
        reason=f"anomalies: {warming}",
    )


@cache
def empty() -> Report:
    """Looked at everything, found nothing."""
    tasks = tuple(
        TaskResult(task, Status.EMPTY, reason=f"looked at all 14.0 s, found no {what}")
        for task, what in (("ads", "ad"), ("anomalies", "anomaly"))
    )
    return _report(
        "quiet.mp4",
        14.0,
        tasks,
        status=Status.EMPTY,
        reason="looked at everything, found nothing",
        shots=(Shot(TimeSpan(0, 14.0), "start"),),
    )


@cache
def broken() -> Report:
    """A recording with two stretches that cannot be decoded, and a task that failed."""
    film = broadcast(shots=300, name="tape 7.ts")
    missing = (Missing(900.0, 1080.0, "the pictures are damaged"), Missing(6900.0, 7200.0, "the file was cut off"))
    ads = replace(film.tasks[0], status=Status.DEGRADED, reason="no logo could be learned: the corner changes too often")
    failed = TaskResult("summary", Status.FAILED, reason="the subtitles cannot be read as text")
    reason = "480.0 s of the file could not be decoded; the findings rest on the rest"
    return replace(
        film,
        status=Status.DEGRADED,
        reason=reason,
        coverage=Coverage(6720.0, 7200.0),
        missing=missing,
        tasks=(ads, *film.tasks[1:3], failed),
    )


@cache
def hostile() -> Report:
    """Text that breaks every format it is pasted into."""
    title = 'a=b;c#d\\e, "quoted" --> <i>x</i></script><script>alert(1)</script>\n\n[CHAPTER]\u2028&amp; {\\an8}'
    tasks = (
        TaskResult(
            "ads",
            Status.OK,
            (Finding("ads", "break", TimeSpan(4.0, 8.0), 0.9, '=HYPERLINK("http://x")', title, (Cue("black", -1.5, title),)),),
        ),
        TaskResult(
            "chapters",
            Status.OK,
            (
                Finding("chapters", "chapter", TimeSpan(0.0, 10.0), 0.5, title),
                Finding("chapters", "chapter", TimeSpan(10.0, 14.0), 0.5, "@SUM(1)"),
            ),
        ),
    )
    return _report('x"><img src=x onerror=alert(1)> #?%41 é\n.mp4', 14.0, tasks, storyboard=(KeyFrame(1.0, scene(1), title),))


def _report(name: str, total_s: float, tasks: tuple[TaskResult, ...], **more: object) -> Report:
    digest = settings_digest(SETTINGS)
    done = tuple(replace(task, findings=numbered(task.findings, "ab" * 32, digest, CLOCK)) for task in tasks)
    given: dict[str, object] = {
        "request_id": "5f" * 16, "video_id": "ab" * 32, "name": name, "status": Status.OK, "reason": "",
        "coverage": Coverage(total_s, total_s), "system": "signals", "settings": SETTINGS,
        "digest": digest, "media": {**MEDIA, "duration_s": total_s}, "tasks": done,
        "timings_s": {"total": 96.4}, "clock": CLOCK,
    }  # fmt: skip
    return Report(**{**given, **more})  # type: ignore[arg-type]


def _ads(rng: np.random.Generator) -> TaskResult:
    findings = []
    for number, (start_s, end_s) in enumerate(BREAKS_S, 1):
        edges = np.linspace(start_s, end_s, 8).round(2).tolist()
        evidence = (
            Cue("logo", 0.96, "the station's logo is gone"),
            Cue("loudness", 0.55, "2.8 LU louder than the programme"),
            Cue("black", 0.88, "0.4 s of black at both ends", TimeSpan(round(start_s - 0.4, 2), start_s)),
            Cue("cut rate", 0.41, "one cut every 1.9 s, the programme one every 5.1 s"),
        )
        loud = {"loudness_lufs": -20.1, "programme_lufs": -22.9, "spots": 7}
        text = "The logo leaves and comes back with the programme; between them the sound is louder and the cuts are faster."
        findings.append(
            Finding("ads", "break", TimeSpan(start_s, end_s), round(0.98 - 0.03 * number, 2), f"Ad break {number}", text, evidence, loud)
        )
        for spot, (a, b) in enumerate(pairwise(edges), 1):
            score = round(float(rng.uniform(0.55, 0.97)), 3)
            findings.append(
                Finding("ads", "spot", TimeSpan(a, b), score, f"Spot {spot} of break {number}", "", evidence[1:3], {"loudness_lufs": -20.4})
            )
    single = Finding(
        "ads",
        "spot",
        TimeSpan(6021.2, 6051.2),
        0.64,
        "Single spot",
        "A stretch of 30.0 s unlike the film around it.",
        (Cue("likeness", 0.7, "no shot like these within 10 min"),),
    )
    return TaskResult("ads", Status.OK, (*findings, replace(single, state="corrected", revision=1)))


def _anomalies(rng: np.random.Generator, total_s: float) -> TaskResult:
    times = np.arange(0, total_s, 1.0)
    values = np.abs(rng.normal(0.12, 0.05, len(times)))
    findings = []
    for kind, label, start_s, end_s, score in ANOMALIES:
        values += score * np.exp(-(((times - (start_s + end_s) / 2) / (end_s - start_s)) ** 2))
        cue = Cue("cells", score, "column 12, row 7", TimeSpan(start_s, end_s))
        findings.append(
            Finding(
                "anomalies", kind, TimeSpan(start_s, end_s), score, label, "Beyond what this source showed in its first 10 minutes.", (cue,)
            )
        )
    findings[2] = replace(findings[2], state="rejected", revision=1)
    curve = Curve(tuple(times.tolist()), tuple(np.clip(values, 0, 1).round(4).tolist()))
    return TaskResult("anomalies", Status.OK, tuple(findings), curves={"anomaly": curve}, data={"threshold": 0.5})


def _chapters(total_s: float) -> TaskResult:
    edges = [0.0, 412.0, 1060.0, 1668.0, 2260.0, 2890.0, 3540.0, 4166.0, 4720.0, 5420.0, 6012.0, 6600.0, total_s]
    spans = [TimeSpan(a, b) for a, b in pairwise(edges)]
    return TaskResult(
        "chapters", Status.OK, tuple(Finding("chapters", "chapter", s, 0.8, t) for s, t in zip(spans, CHAPTER_TITLES, strict=True))
    )


def _summary() -> TaskResult:
    lines = (
        (34.0, 95.0, "A boat comes in before the sun is up, and nobody on the quay knows its name."),
        (1102.0, 1150.0, "The letter says that the light was dark on the night of the wreck."),
        (2320.0, 2384.0, "“I counted the seconds between the flashes, and then there were none.”"),
        (5460.0, 5502.0, "The keeper is asked three times where he was, and answers twice."),
        (7010.0, 7090.0, "The lamp is lit again, by someone else."),
    )
    found = tuple(Finding("summary", "line", TimeSpan(a, b), 0.7, text) for a, b, text in lines)
    return TaskResult("summary", Status.OK, found, data={"text": " ".join(text for _, _, text in lines)})


def _shots(edges: list[float], rng: np.random.Generator) -> tuple[Shot, ...]:
    opened = ["start", *rng.choice(["cut", "cut", "cut", "cut", "dissolve", "fade"], len(edges) - 2).tolist()]
    return tuple(Shot(TimeSpan(a, b), how) for a, b, how in zip(edges, edges[1:], opened, strict=False))


def _loudness(rng: np.random.Generator, total_s: float) -> Curve:
    """Short-term LUFS per second, louder in ads, with one silence (minus infinity)."""
    times = np.arange(0, total_s, 1.0 if total_s > 100 else 0.2)
    values = -24 + 3 * np.sin(times / 37) + rng.normal(0, 1.2, len(times))
    for start_s, end_s in BREAKS_S:
        values[(times >= start_s) & (times < end_s)] += 4
    values[(times >= 640) & (times < 652)] = -math.inf
    return Curve(tuple(times.round(2).tolist()), tuple(values.round(2).tolist()))


@cache
def scene(seed: int, width: int = 320, height: int = 180) -> bytes:
    """A JPEG of a made-up coast: sky, sun, sea, hills. Every seed another hour and another shore."""
    return jpeg(scene_pixels(seed, width, height))


def scene_pixels(seed: int, width: int = 320, height: int = 180) -> NDArray[np.uint8]:
    """(height, width, 3) RGB."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height
    skies = (
        ((24, 38, 84), (236, 142, 96)),
        ((92, 150, 214), (222, 234, 242)),
        ((14, 16, 40), (66, 72, 120)),
        ((120, 84, 130), (250, 196, 140)),
        ((70, 84, 98), (176, 184, 186)),
    )
    top, low = (np.array(c, float) for c in skies[seed % len(skies)])
    picture = top + (low - top) * np.clip(y / 0.62, 0, 1)[..., None] ** 1.3
    sun_x, sun_y = rng.uniform(0.3, 1.5), rng.uniform(0.18, 0.55)
    far = np.hypot(x - sun_x, y - sun_y)
    picture += (np.exp(-far * 5) * 90 + (far < 0.06) * 120)[..., None] * np.array([1.0, 0.86, 0.62])
    sea = y > 0.64
    glitter = 18 * np.sin(x * 40 + np.sin(y * 170) * 3) * np.exp(-np.abs(x - sun_x) * 2.5)
    picture = np.where(sea[..., None], low * 0.42 + top * 0.30 + glitter[..., None], picture)
    for layer in range(3):
        waves = sum(rng.uniform(0.02, 0.06) / k * np.sin(k * (x[0] * rng.uniform(1.5, 3.5)) + rng.uniform(0, 6)) for k in (1, 2, 4))
        ridge = 0.60 + 0.10 * layer + waves
        picture = np.where((y > ridge)[..., None], top * (0.42 - 0.13 * layer) + low * (0.16 - 0.05 * layer), picture)
    return np.clip(picture + rng.normal(0, 2.0, picture.shape), 0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    height, width = pixels.shape[:2]
    encoder = av.VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuvj420p", Fraction(1)
    picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(width, height, "yuvj420p")
    return b"".join(bytes(packet) for part in (picture, None) for packet in encoder.encode(part))
