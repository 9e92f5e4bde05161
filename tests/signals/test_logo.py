from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.series import Measured, Series, pack
from pipelines.signals.logo import SHAPE_PX, find_logos
from pipelines.stores.folder import FolderBlobs


def film(folder: Path, logo: bool, away_s: range, shot_s: int = 5, scenes: int = 1000) -> tuple[Measured, np.ndarray]:
    """Ten minutes of scenery that changes every `shot_s`, with or without a logo at the top left."""
    rng = np.random.default_rng(3)
    blobs = FolderBlobs(folder)
    for block in range(10):
        seconds = np.arange(60 * block, 60 * (block + 1))
        maps = np.zeros((60, *SHAPE_PX), bool)
        for row, second in enumerate(seconds):
            scene = np.random.default_rng(second // shot_s % scenes)
            maps[row] = scene.random(SHAPE_PX) < 0.15
            maps[row] ^= rng.random(SHAPE_PX) < 0.01
            if logo and second not in away_s:
                maps[row, 12:24:3, 20:44] = True
        edges = np.packbits(maps.reshape(60, -1), axis=1)
        blobs.put(f"film/{block:06d}.npz", pack({"detail.edges": Series(seconds.astype(float), edges)}))
    return Measured(blobs, "film", 600.0), np.arange(shot_s, 600, shot_s) - 0.5


def test_a_logo_is_found_and_so_is_its_absence(tmp_path: Path) -> None:
    measured, cuts = film(tmp_path, logo=True, away_s=range(200, 260))

    (logo,) = find_logos(measured, cuts)

    shown = np.asarray(logo.shown.values)
    assert (shown[200:260] < 0).all()
    assert (shown[:200] > 0).all()
    assert (shown[260:] > 0).all()
    x, y, _, _ = logo.box
    assert 0.05 <= x <= 0.07
    assert 0.06 <= y <= 0.07


def test_without_a_logo_none_is_found(tmp_path: Path) -> None:
    assert find_logos(*film(tmp_path, logo=False, away_s=range(0))) == ()


def test_a_logo_that_never_leaves_tells_nothing(tmp_path: Path) -> None:
    assert find_logos(*film(tmp_path, logo=True, away_s=range(0))) == ()


def test_the_wall_behind_a_fixed_camera_is_no_logo(tmp_path: Path) -> None:
    measured, _ = film(tmp_path, logo=False, away_s=range(0), scenes=1)

    assert find_logos(measured, np.zeros(0)) == ()
