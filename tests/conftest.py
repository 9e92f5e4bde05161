"""Shared by all tests: small films, each made once a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from model.encoders.efficientnet_lite0 import SIZE_PX
from model.encoders.imagenet import ImageNetEncoder
from model.encoders.onnx import OnnxNet
from model.registry import CLASS_NAMES, EYES
from model.shipped import locate, prepared
from tests.films import RECIPES, make_film
from tests.servers import kafka, minio, postgres_url, running_servers, servers  # noqa: F401 (fixtures)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutants", type=int, default=100, help="how many damaged films tests/hostile tries (the whole corpus: 500)")
    parser.addoption("--goldens", metavar="DIR", help="where tests/goldens looks for cases: systems' folders, one system's, or one case")


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`film("open.mp4")` is the path of that recipe's film."""
    folder = tmp_path_factory.mktemp("films")
    return lambda name: folder / name if (folder / name).exists() else make_film(folder, RECIPES[name])


@pytest.fixture(scope="session")
def eyes_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(EYES, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def eyes(eyes_graph: Path) -> ImageNetEncoder:
    """The shipped encoder, as `longtake analyze` opens it."""
    names = json.loads(locate(CLASS_NAMES).read_text("utf-8"))
    return ImageNetEncoder(OnnxNet(eyes_graph), EYES.name, EYES.digest, SIZE_PX, tuple(names[str(k)] for k in range(len(names))))
