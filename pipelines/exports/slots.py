"""Where breaks may be inserted: IAB's VMAP 1.0 for ad servers and players, and WebVTT. Rejected slots are in neither."""

from __future__ import annotations

import json
from xml.sax.saxutils import quoteattr

from pipelines.exports.captions import cue_range
from pipelines.exports.markers import accepted, one_line
from pipelines.findings import Finding, Report

NAMESPACE = "http://www.iab.net/videosuite/vmap"


def vmap(report: Report) -> str:
    """A linear break a slot. Its AdSource is empty, as the standard allows: whoever serves the ads fills it in."""
    breaks = [_break(number, slot) for number, slot in enumerate(accepted(report, "slots"), 1)]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<vmap:VMAP xmlns:vmap="{NAMESPACE}" version="1.0">\n{"".join(breaks)}</vmap:VMAP>\n'


def _break(number: int, slot: Finding) -> str:
    name = quoteattr(one_line(slot.id) or f"slot-{number}")
    return (
        f'  <vmap:AdBreak timeOffset="{_clock(at_s(slot))}" breakType="linear" breakId={name}>\n'
        f'    <vmap:AdSource id="{number}" allowMultipleAds="true" followRedirects="true"/>\n'
        "  </vmap:AdBreak>\n"
    )


def vtt_slots(report: Report) -> str:
    """WebVTT for `<track kind="metadata">`: a cue a slot over the pause it uses, with the instant, rank, score and reasons as JSON."""
    cues = [
        f"{one_line(slot.id) or number}\n{cue_range(slot.span)}\n{_payload(slot)}\n"
        for number, slot in enumerate(accepted(report, "slots"), 1)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def at_s(slot: Finding) -> float:
    """The instant; where a person moved the slot, its new begin."""
    instant = float(slot.data.get("at_s", slot.span.start_s))
    return instant if slot.span.start_s <= instant <= slot.span.end_s else slot.span.start_s


def _payload(slot: Finding) -> str:
    """JSON without `>`: a cue's text must not hold an arrow."""
    told = {
        "at_s": round(at_s(slot), 6),
        "rank": slot.data.get("rank"),
        "score": round(slot.score, 6),
        "reasons": [cue.detail for cue in slot.evidence if cue.score > 0],
    }
    return json.dumps(told).replace(">", "\\u003e").replace("<", "\\u003c").replace("&", "\\u0026")


def _clock(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{thousandths:03d}"
