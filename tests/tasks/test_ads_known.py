"""A spot that has a name gets it, and its name alone is enough to find it."""

from __future__ import annotations

import numpy as np

from model.video import TimeSpan
from pipelines.findings import Cue, Finding, Status, TaskResult
from pipelines.series import Measured, Series, pack
from pipelines.spots import Airing, Spot, spot_of
from pipelines.stores.folder import FolderBlobs
from pipelines.tasks.ads_known import with_known


def spot(tmp_path, **words: str) -> Spot:  # type: ignore[no-untyped-def]
    """A spot of six seconds of noise pictures."""
    times = np.arange(0, 6, 0.04)
    pictures = np.random.default_rng(4).integers(0, 256, (len(times), 3, 9, 16), np.uint8)
    blobs = FolderBlobs(tmp_path)
    blobs.put("m/000000.npz", pack({"frame.tiny": Series(times, pictures)}))
    return spot_of(Measured(blobs, "m", 6.0), "Soap", **words)


def airing(of: Spot, start_s: float) -> Airing:
    return Airing(of, TimeSpan(start_s, start_s + 6), 0.97, 1.0, 1.0, (Cue("picture", 3.0, "the same pictures"),))


def found(*spans: tuple[str, float, float]) -> TaskResult:
    findings = tuple(
        Finding("ads", kind, TimeSpan(a, b), 0.6, kind.capitalize(), "It is louder.", (Cue("loud", 1.0),)) for kind, a, b in spans
    )
    return TaskResult(
        "ads", Status.OK if findings else Status.EMPTY, findings, "" if findings else "No advertising found. Judged without sound."
    )


def test_a_spot_that_was_found_gets_its_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    before = found(("break", 10, 26), ("spot", 10, 20), ("spot", 20, 26))

    after = with_known(before, [airing(spot(tmp_path, advertiser="ACME"), 20.1)])

    assert after.findings[:2] == before.findings[:2]
    named = after.findings[2]
    assert (named.label, named.span, named.score) == ("Soap, 6.0 s", TimeSpan(20, 26), 0.97)
    assert [cue.name for cue in named.evidence] == ["known_picture", "loud"]
    assert (named.data["spot"], named.data["advertiser"], named.data["match"]) == ("Soap", "ACME", 0.97)
    assert "product" not in named.data


def test_a_spot_that_nothing_gave_away_is_found_by_its_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    after = with_known(found(), [airing(spot(tmp_path), 40)])

    assert after.status is Status.OK
    assert after.reason == "Judged without sound."
    assert [(f.kind, f.span, f.label) for f in after.findings] == [
        ("break", TimeSpan(40, 46), "Ad break, 1 spot, 6.0 s"),
        ("spot", TimeSpan(40, 46), "Soap, 6.0 s"),
    ]
    assert after.findings[1].explanation == "A known spot: picture: the same pictures."


def test_one_within_a_break_joins_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    after = with_known(found(("break", 10, 40), ("spot", 10, 40)), [airing(spot(tmp_path), 20)])

    assert [(f.kind, f.span.start_s) for f in after.findings] == [("break", 10), ("spot", 10), ("spot", 20)]


def test_without_known_spots_nothing_changes() -> None:
    assert with_known(before := found(("break", 10, 40)), ()) is before
