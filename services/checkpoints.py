"""Checkpoints of the published systems: what a folder holds and lacks, told without loading it; its encoder as an ONNX graph."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from pipelines.interfaces import WrongRequest
from services.answering import Exit

if TYPE_CHECKING:
    from model.systems.loading import Entry
    from model.systems.video_xl_config import VideoXLConfig

MODEL_TYPE = "llava_qwen"  # what the authors' config.json calls Video-XL
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """What a folder holds. problems: a sentence each, none where it can be loaded; dtypes: tensors of each; settings: its config.json's."""

    folder: str
    system: str
    problems: tuple[str, ...]
    tensors: int
    numbers: int
    size_bytes: int
    dtypes: Mapping[str, int]
    files: tuple[str, ...]
    tokenizer: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def is_loadable(self) -> bool:
        return not self.problems


def check_checkpoint(folder: Path, system: str, *, as_json: bool) -> int:
    """Prints the report; returns the exit code, 3 where the folder cannot be loaded."""
    _built(system, needs=("safetensors",))
    if not folder.is_dir():
        raise WrongRequest(f"there is no folder {folder}")
    report = look_at(folder, system)
    if as_json:
        json.dump(dataclasses.asdict(report) | {"is_loadable": report.is_loadable}, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _print(report)
    return int(Exit.DONE if report.is_loadable else Exit.UNREADABLE)


def look_at(folder: Path, system: str) -> CheckpointReport:
    """Reads config.json and the headers of the weights."""
    config, problems = _config(folder)
    index, more = _index(folder)
    tokenizer = next((names for names in TOKENIZERS if all((folder / name).is_file() for name in names)), ())
    problems += more + _misfits(folder, index, config)
    if not tokenizer:
        problems.append("there is no tokenizer: neither tokenizer.json nor vocab.json with merges.txt")
    elif damage := _damaged_tokenizer(folder / tokenizer[0]):
        problems.append(damage)
    files = sorted({entry.file for entry in index.values()})
    return CheckpointReport(
        folder=str(folder),
        system=system,
        problems=tuple(problems),
        tensors=len(index),
        numbers=sum(prod(entry.shape) for entry in index.values()),
        size_bytes=sum(file.stat().st_size for file in files),
        dtypes=dict(Counter(entry.dtype for entry in index.values())),
        files=tuple(file.name for file in files),
        tokenizer=tokenizer,
        settings=dataclasses.asdict(config) if config else {},
    )


def _damaged_tokenizer(file: Path) -> str:
    """What is wrong with a tokenizer.json, nothing said of the older form, which only a large library reads."""
    from model.language.prompts import FileTokenizer, TokenizerMissing

    try:
        if file.name == "tokenizer.json":
            FileTokenizer(file)
    except TokenizerMissing as error:
        return str(error)
    return ""


def _config(folder: Path) -> tuple[VideoXLConfig | None, list[str]]:
    from model.systems.video_xl_config import UnsupportedConfig, VideoXLConfig

    if not (folder / "config.json").is_file():
        return None, []  # which reading the weights tells
    try:
        return VideoXLConfig.from_folder(folder), []
    except UnsupportedConfig as error:
        return None, [str(error)]


def _index(folder: Path) -> tuple[Mapping[str, Entry], list[str]]:
    from model.checkpoints import UnreadableCheckpoint
    from model.systems.loading import read_index
    from services.systems import extra_wanted

    try:
        with extra_wanted():  # torch, for a .bin
            return read_index(folder), []
    except UnreadableCheckpoint as error:
        return {}, [str(error)]


def _misfits(folder: Path, index: Mapping[str, Entry], config: VideoXLConfig | None) -> list[str]:
    from model.systems.loading import unreadable_dtypes
    from model.systems.video_xl_keys import check, rows

    if not index or config is None:
        return []
    result = check({key: entry.shape for key, entry in index.items()}, config)
    used = [row.key for row in rows(config) if row.parameter and row.key in index]
    told = [*result.sentences(), *unreadable_dtypes(index, used)]
    kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type", MODEL_TYPE)
    other = f"config.json is of a model of the type {kind!r}; Video-XL's is {MODEL_TYPE!r}"
    return [other, *told] if told and kind != MODEL_TYPE else told


def _print(report: CheckpointReport) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    state, colour = ("can be loaded", "green") if report.is_loadable else ("cannot be loaded", "red")
    console.print(Text.assemble((report.folder, "bold"), f" as {report.system}: ", (state, colour)))
    dtypes = ", ".join(f"{count} of {dtype}" for dtype, count in report.dtypes.items()) or "none"
    size = f"{report.numbers / 1e6:,.2f} million numbers, {report.size_bytes / 1e6:,.1f} MB in {len(report.files)} files"
    console.print(f"  tensors    {dtypes}; {size}")
    console.print(f"  tokenizer  {', '.join(report.tokenizer) or 'none'}")
    for part, told in report.settings.items():
        console.print(f"  {part:<10} {_told(told)}", style="dim")
    for problem in report.problems:
        console.print(f"  {problem}", style="red")


def _told(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {len(value) if name == 'grid_px' else value}" for name, value in settings.items())


def export_encoder(checkpoint: str, out: Path, system: str, *, half: bool, fused: bool) -> None:
    """Writes the system's visual encoder as a checked ONNX graph."""
    _built(system, needs=("torch", "safetensors", "onnxscript"))
    if out.exists():
        raise WrongRequest(f"{out} is there already; remove it or name another file")
    out.parent.mkdir(parents=True, exist_ok=True)
    from model.export_onnx import export_checkpoint
    from services.models import cache_folder
    from services.weights import checkpoint_folder

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of libraries that this graph has no use for
    apart = export_checkpoint(checkpoint_folder(checkpoint), out, cache_folder(), half=half, fused=fused)
    size = sum(file.stat().st_size for file in (out, out.with_name(f"{out.name}.data")) if file.exists())
    print(f"{out}: {size / 1e6:.1f} MB, at most {apart:.1g} of its largest value from torch over batches of 1, 2 and 5")


def _built(system: str, *, needs: Sequence[str]) -> None:
    from services.systems import SYSTEMS

    if system not in SYSTEMS:
        raise WrongRequest(f"no system called {system!r} is built; there is {', '.join(SYSTEMS)}")
    if lacking := [name for name in needs if find_spec(name) is None]:
        raise WrongRequest(f"this needs {', '.join(lacking)}, which the core leaves out; make setup, or pip install 'longtake[models]'")
