import os
from pathlib import Path

from services.pruning import YOUNG_S, prune


def video(root: Path, name: str, age_s: float, size: int) -> Path:
    path = root / "series" / name / "plan" / "000000.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(size))
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))
    return path


def test_the_oldest_go_until_the_rest_fits(tmp_path: Path):
    old, middle, new = (video(tmp_path, name, age * YOUNG_S, 100) for name, age in (("a", 5), ("b", 4), ("c", 3)))

    assert prune(tmp_path, 250) == 100
    assert (old.exists(), middle.exists(), new.exists()) == (False, True, True)
    assert prune(tmp_path, 250) == 0


def test_what_another_run_may_be_using_stays(tmp_path: Path):
    young = video(tmp_path, "a", 0, 100)

    assert prune(tmp_path, 0) == 0
    assert young.exists()


def test_an_empty_store_is_nothing_to_prune(tmp_path: Path):
    assert prune(tmp_path) == 0
