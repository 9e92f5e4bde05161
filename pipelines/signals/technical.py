"""What belongs to the recording and not to the story: black, freezes, colour bars, slates, test tones, framing, SMPTE timecode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.series import Measured, Series
from pipelines.signals.fades import runs

BLACK_SHARE = 0.98  # of the pixels
BLACK_SPREAD = 6.0  # levels; a night scene has more
LEAST_BLACK_S = 0.12
FREEZE_CHANGE = 0.25  # levels a frame: what an encoder does to a still picture now and then
FREEZE_PEAK = 10  # levels at any pixel
LEAST_FREEZE_S = 2.0
LEAST_BARS_S = 1.0
TONE_SHARE = 0.9
TONE_DRIFT = 0.03
LEAST_TONE_S = 2.0
SLATE_TEXT = 0.03  # share of cells that look like letters
SLATE_NEAR_S = 60.0  # a slate stands near bars, a tone or the start of the file
LEAST_FRAMING_S = 4.0
FRAMING_STEP = 0.02  # bars this near are the same

BAR_COLOURS = ((1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0))  # white to blue, EBU adds black


@dataclass(frozen=True, slots=True)
class Technical:
    """kind: black | freeze | bars | slate | tone | letterbox | pillarbox | windowbox; detail: in words."""

    kind: str
    span: TimeSpan
    detail: str = ""


def find_technical(measured: Measured) -> tuple[Technical, ...]:
    """All technical stretches in time order; framing only where there are bars at the border or were some elsewhere."""
    bars, tones, freezes = find_bars(measured), find_tones(measured), find_freezes(measured)
    slates = find_slates(measured, freezes, [*bars, *tones])
    told = [s.span for s in (*bars, *slates)]
    still = [f for f in freezes if not any(f.span.overlap_s(span) > 0 for span in told)]
    return tuple(sorted([*find_black(measured), *still, *bars, *slates, *tones, *find_framing(measured)], key=lambda t: (t.span, t.kind)))


def find_black(measured: Measured) -> list[Technical]:
    share, spread = measured.get("frame.black"), measured.get("frame.spread")
    if share is None or spread is None:
        return []
    is_black = (_values(share) >= BLACK_SHARE) & (_values(spread) <= BLACK_SPREAD)
    return [Technical("black", span) for span in spans_of(is_black, share.times_s, measured.duration_s) if span.duration_s >= LEAST_BLACK_S]


def find_freezes(measured: Measured) -> list[Technical]:
    """Pictures that stand still, but not black ones."""
    change, peak, black = (measured.get(f"frame.{name}") for name in ("change", "peak", "black"))
    if change is None or peak is None or black is None:
        return []
    still = (_values(change) <= FREEZE_CHANGE) & (_values(peak) <= FREEZE_PEAK) & (_values(black) < BLACK_SHARE)
    still[:1] = False  # nothing lies before it
    spans = spans_of(still, change.times_s, measured.duration_s)
    return [Technical("freeze", span) for span in spans if span.duration_s >= LEAST_FREEZE_S]


def _values(series: Series) -> NDArray[np.float64]:
    return series.values.astype(np.float64)


def spans_of(flags: NDArray[np.bool_], times: NDArray[np.float64], end_s: float) -> list[TimeSpan]:
    """Stretches over which all values are True, each until the first value that is not."""
    ends = np.append(times[1:], max(end_s, times[-1] + 1e-3)) if len(times) else times
    return [TimeSpan(float(times[first]), float(ends[last])) for first, last in runs(flags)]


def find_bars(measured: Measured) -> list[Technical]:
    """EBU and SMPTE colour bars, 7 or 8 of them, over the whole width or between black sides."""
    times: list[float] = []
    found: list[bool] = []
    for block in measured.blocks("colour"):
        times += block.times_s.tolist()
        found += [shows_bars(picture) for picture in block.values]
    spans = spans_of(np.array(found, bool), np.array(times), measured.duration_s) if times else []
    return [Technical("bars", span, "colour bars") for span in spans if span.duration_s >= LEAST_BARS_S]


def shows_bars(picture: NDArray[np.uint8]) -> bool:
    """picture: (H, W, 3) RGB. Whether its upper half is colour bars."""
    upper = picture[picture.shape[0] // 8 : picture.shape[0] // 2].astype(np.int16)
    if np.ptp(upper, axis=0).max() > 40:  # every column is of one colour
        return False
    row = upper.mean(axis=0)
    return any(_matches(row, inset, count) for inset in (0.0, 0.125) for count in (7, 8))


def _matches(row: NDArray[np.float64], inset: float, count: int) -> bool:
    width = len(row)
    centres = inset + (np.arange(count) + 0.5) / count * (1 - 2 * inset)
    bands = row[(centres * width).astype(int)]
    high, low = bands[0].min(), bands[1:].min(axis=1).max()
    if high < 120 or np.ptp(bands[0]) > 40 or low > 0.5 * high:
        return False
    return bool(((bands > high / 2) == np.array(BAR_COLOURS[:count], bool)).all())


def find_tones(measured: Measured) -> list[Technical]:
    """One steady pitch and nothing else, as laid beside colour bars."""
    share, pitch, level = (measured.get(f"sound.{name}") for name in ("tone", "tone_hz", "level"))
    if share is None or pitch is None or level is None:
        return []
    loud = np.interp(share.times_s, level.times_s, _values(level)) > -50
    out = []
    for first, last in runs((_values(share) >= TONE_SHARE) & loud):
        heard = _values(pitch)[first : last + 1]
        hz = float(np.median(heard))
        steady = np.abs(heard - hz) <= TONE_DRIFT * hz
        span = TimeSpan(max(0.0, float(share.times_s[first]) - 0.1), float(share.times_s[last]) + 0.1)
        if steady.mean() > 0.95 and span.duration_s >= LEAST_TONE_S:
            out.append(Technical("tone", span, f"test tone of {hz:.0f} Hz"))
    return out


def find_slates(measured: Measured, freezes: list[Technical], marks: list[Technical]) -> list[Technical]:
    """Still pictures with writing on a plain ground, near bars, a tone or the start of the file."""
    text = measured.get("detail.text")
    if text is None:
        return []
    near = [TimeSpan(0, SLATE_NEAR_S)] if not marks else []
    near += [TimeSpan(max(0.0, mark.span.start_s - SLATE_NEAR_S), mark.span.end_s + SLATE_NEAR_S) for mark in marks]
    return [
        Technical("slate", freeze.span, "a still card with writing")
        for freeze in freezes
        if any(freeze.span.overlap_s(place) > 0 for place in near)
        and not any(freeze.span.overlap_s(mark.span) > 0 for mark in marks if mark.kind == "bars")
        and _median(text.within(freeze.span.start_s, freeze.span.end_s)) >= SLATE_TEXT
    ]


def _median(series: Series) -> float:
    return float(np.median(_values(series))) if len(series) else 0.0


def find_framing(measured: Measured) -> list[Technical]:
    """Stretches with dark bars at the border, as they are told by the narrowest bars of any five seconds: night grows none."""
    bars = measured.get("detail.bars")
    luma = measured.get("frame.luma")
    if bars is None or luma is None:
        return []
    at = np.maximum(np.searchsorted(luma.times_s, bars.times_s, side="right") - 1, 0)
    seen = _values(luma)[at] > 16
    sides = _values(bars)[seen]
    if not len(sides):
        return []
    narrow = np.stack([sides[:, :2].min(1), sides[:, 2:].min(1)], axis=1)  # bars come in pairs
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(narrow, ((2, 2), (0, 0)), mode="edge"), 5, axis=0)
    return list(_framings(windows.min(2), bars.times_s[seen], measured.duration_s))


def _framings(narrow: NDArray[np.float64], times: NDArray[np.float64], end_s: float) -> Iterator[Technical]:
    first = 0
    for k in range(1, len(narrow) + 1):
        if k < len(narrow) and np.abs(narrow[k] - narrow[first]).max() <= FRAMING_STEP:
            continue
        across, down = narrow[first:k].min(axis=0)
        until = float(times[k]) if k < len(narrow) else end_s
        kind = {(True, True): "windowbox", (True, False): "pillarbox", (False, True): "letterbox"}.get((across >= 0.03, down >= 0.03))
        if kind and until - times[first] >= LEAST_FRAMING_S:
            yield Technical(kind, TimeSpan(float(times[first]), until), f"bars of {across:.0%} at each side, {down:.0%} above and below")
        first = k


@dataclass(frozen=True, slots=True)
class Timecode:
    """SMPTE timecode of the first picture, as the file tells it. frame_rate: pictures a second."""

    hours: int
    minutes: int
    seconds: int
    frames: int
    drop: bool
    frame_rate: Fraction

    def at(self, time_s: float) -> str:
        """The timecode on display `time_s` after the first picture.

        >>> Timecode(1, 0, 0, 0, True, Fraction(30000, 1001)).at(60.06)
        '01:01:00;02'
        """
        base = round(self.frame_rate)
        whole = ((self.hours * 60 + self.minutes) * 60 + self.seconds) * base + self.frames
        minutes = self.hours * 60 + self.minutes
        dropped = base // 15 if self.drop else 0  # numbers a minute that are left out, but not every tenth minute
        count = (
            whole
            - dropped * (minutes - minutes // 10)
            + int(Fraction(time_s).limit_denominator(10**6) * self.frame_rate + Fraction(1, 1000))
        )
        if dropped:
            tens, rest = divmod(count, 600 * base - 9 * dropped)
            count += 9 * dropped * tens + (dropped * ((rest - dropped) // (60 * base - dropped)) if rest >= dropped else 0)
        frames, seconds = count % base, count // base
        return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{';' if self.drop else ':'}{frames:02}"


def timecode_of(measured: Measured) -> Timecode | None:
    """The file's start timecode with its frame rate; None where it has none or it makes no sense."""
    match = re.fullmatch(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)", str(measured.facts.get("timecode", "")).strip())
    rate = measured.facts.get("frame_rate")
    if match is None or not rate:
        return None
    hours, minutes, seconds, frames = (int(match[k]) for k in (1, 2, 3, 5))
    return Timecode(hours, minutes, seconds, frames, match[4] != ":", Fraction(str(rate)))
