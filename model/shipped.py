"""The trained models that come inside packages: which, from where, under what licence, and whether what is installed is what was tried.

Weights stay in their packages. What must be another file to run (an ONNX graph of torch weights) is made once into a cache folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from model.checkpoints import Tensors, UnreadableCheckpoint, read_torch_file

READ_BYTES = 1 << 20


class WeightsMissing(Exception):
    """A model's weights are not installed, or are not the ones that were tried. The sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """One model. files: {path inside the package's site folder: SHA-256}; the first is the one that counts.

    build: how its torch weights become an ONNX graph; None where the files run as they are. version: of the package, as tried.
    """

    name: str
    use: str
    package: str
    version: str
    licence: str
    source: str
    files: Mapping[str, str]
    build: Callable[[Tensors], bytes] | None = None
    graph_version: str = ""
    has_dependencies: bool = field(default=True)  # False: install it with --no-deps, what it asks for is not needed

    @property
    def digest(self) -> str:
        """Short digest of the weights and of how they are turned into a graph: part of every answer's settings."""
        return hashlib.sha256(f"{self.graph_version} {sorted(self.files.values())}".encode()).hexdigest()[:16]

    @property
    def main_file(self) -> str:
        return next(iter(self.files))


def installed(model: Shipped) -> Distribution:
    """Raises WeightsMissing where the package is not there."""
    try:
        return distribution(model.package)
    except PackageNotFoundError as error:
        how = "" if model.has_dependencies else "--no-deps "
        raise WeightsMissing(
            f"the {model.use} ({model.name}) needs the package {model.package}, which is not installed; "
            f"pip install {how}{model.package}=={model.version}"
        ) from error


def locate(model: Shipped) -> Path:
    """Where the main file lies, every file's digest checked. Raises WeightsMissing."""
    package = installed(model)
    for file, expected in model.files.items():
        path = Path(str(package.locate_file(file)))
        if not path.is_file():
            raise WeightsMissing(_other(model, package, f"has no file {file}"))
        found = _sha256(path, path.stat().st_mtime_ns)
        if found != expected:
            raise WeightsMissing(_other(model, package, f"has other bytes in {file} (SHA-256 {found[:12]}, not {expected[:12]})"))
    return Path(str(package.locate_file(model.main_file)))


def _other(model: Shipped, package: Distribution, what: str) -> str:
    how = "" if model.has_dependencies else "--no-deps "
    return (
        f"the {model.use} ({model.name}) cannot be trusted: {model.package} {package.version} {what}; "
        f"the version that was tried is {model.version}: pip install --force-reinstall {how}{model.package}=={model.version}"
    )


@cache
def _sha256(path: Path, changed_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


def prepared(model: Shipped, cache_folder: Path) -> Path:
    """The file that runs: the package's own, or the ONNX graph made from it, now or earlier. Raises WeightsMissing."""
    weights = locate(model)
    if model.build is None:
        return weights
    graph = graph_path(model, cache_folder)
    if not graph.is_file():
        try:
            made = model.build(read_torch_file(weights))
        except UnreadableCheckpoint as error:
            raise WeightsMissing(f"the {model.use} ({model.name}) cannot be read: {error}") from error
        except ImportError as error:
            raise WeightsMissing(f"making the graph of {model.name} needs the package {error.name}: pip install {error.name}") from error
        _write(graph, made)
    return graph


def graph_path(model: Shipped, cache_folder: Path) -> Path:
    return cache_folder / f"{model.name}-{model.digest}.onnx"


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: another run may be making the same graph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.replace(path)
