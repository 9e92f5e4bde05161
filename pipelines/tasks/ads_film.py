"""Gathers from a video's series what the search for ads asks of a film as a whole. Judges nothing but what can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines.findings import Shot
from pipelines.series import Measured
from pipelines.signals.logo import Logo, find_logos
from pipelines.signals.sets import recurring_sets
from pipelines.tasks.ads_clips import cut_clips, find_joints
from pipelines.tasks.ads_eyes import look_through
from pipelines.tasks.ads_runs import Film, usual_look
from pipelines.tasks.ads_sound import Sums, listen, sums_of

if TYPE_CHECKING:
    from pipelines.spots import Airing

FRAME_STEP = 0.025  # bars this alike are the same framing, shares of the picture
FRAME_USUAL = 0.5  # of the film must be framed alike for another framing to mean anything
FRAME_OTHER = (0.01, 0.45)
FRAME_AGREED = 0.6  # of what is framed otherwise is framed otherwise in the same way: dark scenes are not
DARK_LUMA = 28.0


def gather(measured: Measured, shots: tuple[Shot, ...], airings: Sequence[Airing] = ()) -> Film:
    joints = find_joints(measured, shots)
    clips = cut_clips(measured, joints)
    hearing = listen(measured)
    eyes = look_through(measured, clips.start_s, clips.end_s)
    count = len(joints.start_s)
    return Film(
        joints=joints,
        clips=clips,
        logo=away(find_logos(measured, joints.start_s[1:-1])),
        bars=framing(measured),
        eyes=eyes,
        sets=recurring_sets(eyes.clips()).of if eyes else None,
        hearing=hearing,
        usual_look=usual_look(clips),
        usual_clip_s=usual_clip_s(clips.length_s),
        jumps=hearing.jumps(joints.at_s) if hearing else np.zeros(count),
        silences=hearing.silences(joints.start_s, joints.end_s) if hearing else np.zeros(count, bool),
        cards=tuple(text.span for text in measured.texts if text.kind == "card"),
        airings=tuple((airing.span, airing.score) for airing in airings),
    )


def usual_clip_s(length_s: np.ndarray) -> float:
    """The clip length met at most moments, not by most clips: half the film is told in longer ones."""
    order = np.sort(length_s)
    return float(order[np.searchsorted(np.cumsum(order), order.sum() / 2)])


def away(logos: tuple[Logo, ...]) -> Sums | None:
    """Log-odds that all of them are away: a ticker that is still there outweighs a logo lost in a bright sky. None where there is none."""
    return sums_of(logos[0].shown.times_s, -np.max([logo.shown.values for logo in logos], axis=0)) if logos else None


def framing(measured: Measured) -> Sums | None:
    """1 where the picture is framed by other bars than most of the film, 0 where by the same; None where bars tell nothing."""
    bars, luma = measured.get("detail.bars"), measured.get("frame.luma")
    if bars is None or luma is None:
        return None
    at = np.searchsorted(luma.times_s, bars.times_s, side="right") - 1
    is_bright = np.asarray(luma.values, np.float64)[np.maximum(at, 0)] > DARK_LUMA
    sides = np.asarray(bars.values, np.float64)
    is_even = (np.abs(sides[:, ::2] - sides[:, 1::2]) <= FRAME_STEP).all(1)  # bars are as wide on either side; a dark wall is not
    told = is_bright & is_even
    frames = np.stack([sides[:, :2].min(1), sides[:, 2:].min(1)], axis=1)[told]
    if len(frames) < 60:
        return None
    usual, share = _commonest(frames)
    is_other = np.abs(frames - usual).max(1) > FRAME_STEP
    if share < FRAME_USUAL or not FRAME_OTHER[0] <= is_other.mean() <= FRAME_OTHER[1]:
        return None
    if _commonest(frames[is_other])[1] < FRAME_AGREED:
        return None
    return sums_of(bars.times_s[told], is_other.astype(np.float64))


def _commonest(frames: np.ndarray) -> tuple[np.ndarray, float]:
    """The framing with most others within a step, and their share."""
    steps, counts = np.unique(np.rint(frames / (FRAME_STEP / 2)), axis=0, return_counts=True)
    centre = steps[counts.argmax()] * (FRAME_STEP / 2)
    return centre, float((np.abs(frames - centre).max(1) <= FRAME_STEP).mean())
