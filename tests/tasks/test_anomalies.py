"""A made camera of 160 x 90: a textured place with one lane of boxes moving right, and things that go wrong in it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from model.video import TimeSpan
from pipelines.findings import Finding, Shot, Status, TaskResult
from pipelines.series import BLOCK_S, Measured, Series, pack
from pipelines.tasks.anomalies import AnomalySettings, Normal, find_anomalies, learn_normal, watch
from pipelines.tasks.anomalies_alarms import threshold_for
from pipelines.tasks.anomalies_saving import normal_from_bytes, normal_to_bytes, watch_from_bytes, watch_to_bytes
from pipelines.tasks.anomalies_watch import Watch

RATE_HZ = 5
WARM_UP_S = 60


class InMemory:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self.kept[key] = data

    def get(self, key: str) -> bytes:
        return self.kept[key]

    def keys(self, prefix: str):
        yield from sorted(k for k in self.kept if k.startswith(prefix))

    def delete(self, key: str) -> None:
        del self.kept[key]


def place(seed: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    ground = 100 + np.kron(rng.normal(0, 12, (18, 32)), np.ones((5, 5)))
    return (ground + rng.normal(0, 10, (90, 160))).astype(np.float32)


def camera(seconds: int, change=lambda picture, time_s: picture, seed: int = 1, traffic: bool = True) -> NDArray[np.uint8]:
    """(N, 90, 160): a box of 16 x 8 crosses every 8 s; `change` alters the picture before the sensor's noise."""
    rng = np.random.default_rng(seed + 1000)
    ground, pictures = place(), []
    grain = rng.normal(0, 2, (8, 90, 160)).astype(np.float32)
    for n in range(seconds * RATE_HZ):
        time_s, picture = n / RATE_HZ, ground.copy()
        x = int((time_s % 8) * 30) - 20
        if traffic and x < 160:
            picture[50:58, max(0, x) : max(0, x + 16)] = 200
        pictures.append(np.clip(change(picture, time_s) + grain[rng.integers(8)], 0, 255).astype(np.uint8))
    return np.stack(pictures)


def measured(pictures: NDArray[np.uint8]) -> Measured:
    blobs, times = InMemory(), np.arange(len(pictures)) / RATE_HZ
    colour = np.repeat(pictures.reshape(-1, 18, 5, 32, 5).mean(axis=(2, 4)).astype(np.uint8)[..., None], 3, axis=3)
    for block in range(int(np.ceil(len(pictures) / RATE_HZ / BLOCK_S))):
        own = slice(int(block * BLOCK_S * RATE_HZ), int((block + 1) * BLOCK_S * RATE_HZ))
        some = {"grey": Series(times[own], pictures[own]), "colour": Series(times[own][::3], colour[own][::3])}
        blobs.put(f"v/{block:06d}.npz", pack(some | {"frame.luma": Series(times[own], pictures[own].mean(axis=(1, 2)))}))
    return Measured(blobs, "v", len(pictures) / RATE_HZ)


def judge(change, seconds: int = 150, **more) -> TaskResult:
    return find_anomalies(measured(camera(seconds, change)), (), AnomalySettings(warm_up_s=WARM_UP_S, warm_up_share=0.9), **more)


def during(start_s: float, end_s: float, alter):
    return lambda picture, time_s: alter(picture) if start_s <= time_s < end_s else picture


def found(result: TaskResult, kind: str) -> Finding:
    return next(f for f in result.findings if f.kind == kind)


def box(x: int, y: int, level: float, wide: int = 8, high: int = 10):
    def alter(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        picture[y : y + high, x : x + wide] = level
        return picture

    return alter


def test_ordinary_life_raises_nothing_and_every_second_has_a_score():
    result = judge(lambda picture, time_s: picture)

    assert result.status is Status.EMPTY
    assert "first 60 s" in result.reason
    assert result.curves["anomaly"].times_s == tuple(float(t) for t in range(150))
    assert max(result.curves["anomaly"].values) < 0.5
    assert set(result.curves["anomaly"].values[:59]) == {0.0}


@pytest.mark.parametrize(
    ("kind", "alter"),
    [("blackout", lambda p: p * 0.05), ("moved", lambda p: np.roll(p, (6, 11), (0, 1))), ("defocus", lambda p: np.full_like(p, p.mean()))],
)
def test_a_sick_camera_is_told_to_the_second(kind, alter):
    alarm = found(judge(during(105, 125, alter)), kind)

    assert alarm.span.start_s == pytest.approx(105, abs=2)
    assert alarm.span.end_s == pytest.approx(125, abs=2)
    assert alarm.score > 0.9


def test_a_frozen_picture_is_a_freeze_from_its_first_second():
    pictures = camera(150)
    pictures[105 * RATE_HZ : 125 * RATE_HZ] = pictures[105 * RATE_HZ]

    alarm = found(find_anomalies(measured(pictures), (), AnomalySettings(warm_up_s=WARM_UP_S, warm_up_share=0.9)), "freeze")

    assert alarm.span.start_s == pytest.approx(105, abs=2)
    assert alarm.span.end_s == pytest.approx(125, abs=2)


@pytest.mark.parametrize(
    "alter",
    [lambda p: p * 0.7, lambda p: p * 1.3, lambda p: p * np.linspace(0.8, 1.2, 160, dtype=np.float32), lambda p: p + 25],
    ids=["darker", "brighter", "from one side", "haze"],
)
def test_a_step_of_the_light_alarms_nobody(alter):
    assert judge(during(100, 140, alter)).findings == ()


def test_light_that_drifts_slowly_alarms_nobody():
    assert judge(lambda p, t: p * np.float32(1 + 0.3 * np.sin(t / 40))).findings == ()


def test_rain_alarms_nobody():
    rng = np.random.default_rng(5)

    def rain(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        for x, y in zip(rng.integers(160, size=40), rng.integers(85, size=40), strict=True):
            picture[y : y + 4, x] += 30
        return picture

    assert judge(during(100, 140, rain)).findings == ()


def test_a_bag_left_behind_rings_and_reaches_back_to_when_it_was_left():
    alarm = found(judge(during(90, 140, box(70, 70, 20, 6, 5))), "abandoned")

    assert alarm.span.start_s == pytest.approx(90, abs=3)
    assert alarm.data["raised_s"] - 90 < 25
    assert 0.4 < alarm.data["box"][0] < 0.5


def test_somebody_where_nobody_goes_is_found_there():
    def walks(picture: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        return box(20 + int((time_s - 150) * 4), 15, 220, 5, 11)(picture) if 150 <= time_s < 175 else picture

    result = judge(walks, seconds=180)

    assert [f for f in result.findings if f.span.overlap_s(TimeSpan(150, 175)) > 5]
    assert not [f for f in result.findings if f.span.end_s < 145]


def test_another_recording_teaches_the_normal_so_that_nothing_is_warmed_up():
    normal = learn_normal(measured(camera(90, seed=3)))

    result = find_anomalies(measured(camera(60, during(20, 35, lambda p: p * 0.05))), (), normal=normal)

    assert found(result, "blackout").span.start_s == pytest.approx(20, abs=2)
    assert result.data["warm_up_s"] == 0


def test_a_rejected_alarm_does_not_ring_again():
    bag = during(90, 130, box(70, 70, 20, 6, 5))
    first = judge(bag)
    taught = Normal()
    for alarm in first.findings:
        taught = taught.with_false_alarm(alarm)

    again = judge(bag, normal=taught)

    assert first.findings
    assert again.findings == ()


def test_a_watch_that_was_saved_goes_on_as_if_it_had_not_stopped():
    video = measured(camera(130, during(80, 100, box(70, 70, 20, 6, 5))))
    straight = list(watch(Watch(WARM_UP_S), video))

    halted, taken = Watch(WARM_UP_S), []
    part = InMemory()
    for key in video.blobs.keys("v/"):
        part.kept = {key: video.blobs.get(key)}
        number = int(key[2:8])
        seconds = watch(halted, Measured(part, "v", min(130.0, (number + 1) * 60.0)), from_s=number * 60.0)
        taken += list(seconds)
        halted = watch_from_bytes(watch_to_bytes(halted))

    assert [s.time_s for s in taken] == [s.time_s for s in straight]
    for one, other in zip(taken, straight, strict=True):
        assert one.values.tolist() == other.values.tolist()
        assert one.surprise.tolist() == other.surprise.tolist()


def test_a_normal_survives_being_saved():
    normal = learn_normal(measured(camera(90)))

    again = normal_from_bytes(normal_to_bytes(normal))

    assert again.tracks == normal.tracks
    assert again.visits.tolist() == normal.visits.tolist()
    assert again.background is not None and normal.background is not None
    assert again.background.mean.tolist() == normal.background.mean.tolist()


def test_edited_footage_is_not_judged_and_says_why():
    pictures = np.concatenate([camera(10, lambda p, t, k=k: place(k + 10), traffic=False) for k in range(12)])
    shots = tuple(Shot(TimeSpan(10.0 * k, 10.0 * k + 10)) for k in range(12))

    result = find_anomalies(measured(pictures), shots)

    assert result.status is Status.EMPTY
    assert "edited footage" in result.reason
    assert set(result.curves["anomaly"].values) == {0.0}


def test_a_file_too_short_to_show_its_normal_is_not_judged():
    result = find_anomalies(measured(camera(30)), ())

    assert "too short" in result.reason
    assert len(result.curves["anomaly"].values) == 30


def test_a_lower_price_in_false_alarms_asks_for_more_surprise():
    assert threshold_for(1.0) - threshold_for(3.0) == pytest.approx(np.log(3))
    with pytest.raises(ValueError, match="false alarms"):
        AnomalySettings(false_alarms_per_hour=0)
