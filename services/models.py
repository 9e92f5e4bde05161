"""The trained models at hand: opened for the pipeline, listed and prepared for people. The one place that knows where graphs are cached."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.text import Text

from model.encoders.efficientnet_lite0 import SIZE_PX
from model.encoders.imagenet import ImageNetEncoder
from model.encoders.onnx import OnnxNet, ProviderUnavailable
from model.ocr import RapidReader
from model.registry import CLASS_NAMES, CUTTER, EYES, MEANING, MODELS, READER
from model.shipped import Shipped, WeightsMissing, installed, locate, prepared
from model.transnet_v2 import TransNetCutter
from pipelines.interfaces import Meaning, WrongRequest

if TYPE_CHECKING:  # `longtake models list` needs no pipeline
    from pipelines.watching import Senses

T = TypeVar("T")


def cache_folder() -> Path:
    """`~/.cache/longtake/models`, or below XDG_CACHE_HOME (freedesktop.org base directories)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "longtake" / "models"


def open_senses(providers: Sequence[str] = ("cpu",), *, accurate_shots: bool = False) -> Senses:
    """All models that are there; of the others a sentence each. Raises WrongRequest for a provider that is not here.

    accurate_shots: open the shot detector too, which looks at every frame and takes most of the time.
    """
    from pipelines.watching import Senses

    missing: list[str] = []

    def opened(opener: Callable[[], T]) -> T | None:
        try:
            return opener()
        except WeightsMissing as error:
            missing.append(str(error))
            return None

    encoder = opened(lambda: open_encoder(providers))
    opened(_class_names)  # the encoder looks without them, but cannot say what it sees
    reader = opened(open_reader)
    cutter = opened(lambda: open_cutter(providers)) if accurate_shots else None
    meaning = opened(_open_meaning)
    return Senses(encoder, reader, cutter, meaning=meaning, missing=tuple(missing))


def open_encoder(providers: Sequence[str] = ("cpu",), threads: int | None = None) -> ImageNetEncoder:
    """The default visual encoder; without names where their package is missing. threads: of the CPU, all cores where None.

    Raises WeightsMissing, WrongRequest.
    """
    on_cpu = list(providers)[:1] == ["cpu"]
    net = _opened(prepared(EYES, cache_folder()), providers, 1 if on_cpu else threads)
    lanes = (threads or os.cpu_count() or 1) if on_cpu else 1
    names: tuple[str, ...] = ()
    with suppress(WeightsMissing):
        names = _class_names()
    return ImageNetEncoder(net, EYES.name, EYES.digest, SIZE_PX, names, lanes)


def _class_names() -> tuple[str, ...]:
    names = json.loads(locate(CLASS_NAMES).read_text("utf-8"))
    return tuple(names[str(k)] for k in range(len(names)))


def open_cutter(providers: Sequence[str] = ("cpu",), threads: int | None = None) -> TransNetCutter:
    """The accurate shot detector. Raises WeightsMissing, WrongRequest."""
    return TransNetCutter(_opened(prepared(CUTTER, cache_folder()), providers, threads), CUTTER.name, CUTTER.digest)


def _opened(graph: Path, providers: Sequence[str], threads: int | None) -> OnnxNet:
    try:
        return OnnxNet(graph, providers, threads)
    except ProviderUnavailable as error:
        raise WrongRequest(str(error)) from error


def open_meaning() -> Meaning | None:
    """What says how near two texts are; None where its package is missing, and then only words are compared."""
    try:
        return _open_meaning()
    except WeightsMissing:
        return None


def _open_meaning() -> Meaning:
    from model.meaning import WordLlamaMeaning

    return WordLlamaMeaning(locate(MEANING), MEANING.name, MEANING.digest)


def open_reader() -> RapidReader:
    """The reader of texts in pictures. Raises WeightsMissing."""
    recogniser = locate(READER)
    detector = installed(READER).locate_file("rapidocr/models/PP-OCRv6_det_small.onnx")
    return RapidReader(Path(str(detector)), recogniser, READER.name, READER.digest)


@dataclass(frozen=True, slots=True)
class _Row:
    """One model as a person sees it. status: ready | missing; note: why, or where what runs lies."""

    model: Shipped
    status: str
    size_bytes: int
    note: str


def show_models(*, as_json: bool) -> None:
    _show([_looked_at(model) for model in MODELS], as_json)


def prepare_models(*, as_json: bool) -> int:
    """Returns the exit code: 0, or 4 where a model is not to be had."""
    rows = [_made_ready(model) for model in MODELS]
    _show(rows, as_json)
    return 4 if any(row.status != "ready" for row in rows) else 0


def _looked_at(model: Shipped) -> _Row:
    try:
        return _Row(model, "ready", _size(model), str(locate(model)))
    except WeightsMissing as error:
        return _Row(model, "missing", 0, str(error))


def _made_ready(model: Shipped) -> _Row:
    try:
        return _Row(model, "ready", _size(model), str(prepared(model, cache_folder())))
    except WeightsMissing as error:
        return _Row(model, "missing", 0, str(error))


def _size(model: Shipped) -> int:
    return sum(Path(str(installed(model).locate_file(file))).stat().st_size for file in model.files)


def _show(rows: Sequence[_Row], as_json: bool) -> None:
    if as_json:
        json.dump({"models": [_plain(row) for row in rows]}, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    console = Console()
    for row in rows:
        model = row.model
        size = f"{row.size_bytes / 1e6:.1f} MB, " if row.size_bytes else ""
        console.print(Text.assemble((model.name, "bold"), f": {model.use}  ", (row.status, "green" if row.status == "ready" else "yellow")))
        console.print(Text(f"    {model.source}\n    {size}{model.licence}, {model.package} {model.version}, digest {model.digest}", "dim"))
    for row in rows:
        if row.status != "ready":
            console.print(row.note, style="yellow", highlight=False, markup=False)


def _plain(row: _Row) -> dict[str, Any]:
    model = row.model
    told = {name: getattr(model, name) for name in ("name", "use", "package", "version", "licence", "source", "digest")}
    return told | {"files": dict(model.files), "size_bytes": row.size_bytes, "status": row.status, "note": row.note}
