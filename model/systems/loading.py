"""Checkpoint folders: what they hold, told without loading it, and their tensors put into a module. Knows no system's names.

A folder holds config.json and safetensors or bin shards as Hugging Face writes them. No pickled code runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.checkpoints import UnreadableCheckpoint

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

READABLE_DTYPES = ("F64", "F32", "F16", "BF16")
FORMS = (("model", ".safetensors"), ("pytorch_model", ".bin"))  # in this order, as everyone who writes both means it
SHOWN = 5  # problems of a kind that are told one by one


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a checkpoint. dtype: as safetensors spells it, such as BF16."""

    shape: tuple[int, ...]
    dtype: str
    file: Path


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a key table. parameter: its name in our module, or None where it is known and has no use here.

    part: of the system, as in `decoder`. A row that is dropped may be missing.
    """

    key: str
    shape: tuple[int, ...]
    parameter: str | None
    part: str


@dataclass(frozen=True, slots=True)
class Check:
    """How a checkpoint differs from a key table. wrong_shape: (key, found, expected)."""

    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()

    @property
    def is_loadable(self) -> bool:
        return not (self.missing or self.unknown or self.wrong_shape)

    def sentences(self) -> list[str]:
        """One a problem; of many of a kind the first, and how many more there are."""
        shapes = [f"{key} has the shape {list(found)}, expected {list(expected)}" for key, found, expected in self.wrong_shape]
        missing = [f"{key} is missing" for key in self.missing]
        unknown = [f"{key} is unknown: this system has no place for it" for key in self.unknown]
        return [sentence for kind in (missing, unknown, shapes) for sentence in _first(kind)]


def _first(sentences: Sequence[str]) -> list[str]:
    more = len(sentences) - SHOWN
    return [*sentences[:SHOWN], *([f"... and {more} more like it"] if more > 0 else [])]


def compare(found: Mapping[str, tuple[int, ...]], rows: Iterable[Row], parts: frozenset[str]) -> Check:
    """found: {key: shape}; parts: those that must be there whole. Keys of other parts are neither missing nor unknown."""
    table = {row.key: row for row in rows}
    wanted = {key: row for key, row in table.items() if row.part in parts}
    shapes = ((key, tuple(found[key]), row.shape) for key, row in wanted.items() if key in found and row.parameter)
    return Check(
        missing=tuple(key for key, row in wanted.items() if row.parameter and key not in found),
        unknown=tuple(key for key in found if key not in table),
        wrong_shape=tuple((key, there, expected) for key, there, expected in shapes if there != expected),
    )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that hold a checkpoint's weights. Raises UnreadableCheckpoint where shards or all of them are missing."""
    if not (folder / "config.json").is_file():
        raise UnreadableCheckpoint(f"{folder} is no checkpoint folder: it has no config.json")
    for stem, ending in FORMS:
        if names := _shard_names(folder, stem, ending):
            if lacking := [name for name in names if not (folder / name).is_file()]:
                raise UnreadableCheckpoint(
                    f"{folder} lacks {', '.join(lacking)} of {len(names)} files of weights; copy or download them again"
                )
            return tuple(folder / name for name in names)
    raise UnreadableCheckpoint(_no_weights(folder))


def _shard_names(folder: Path, stem: str, ending: str) -> list[str]:
    index = folder / f"{stem}{ending}.index.json"
    if index.is_file():
        return sorted(set(_weight_map(index).values()))
    if (folder / f"{stem}{ending}").is_file():
        return [f"{stem}{ending}"]
    numbered = [re.fullmatch(rf"{stem}-\d+-of-(\d+){re.escape(ending)}", path.name) for path in folder.iterdir()]
    counts = {int(match[1]) for match in numbered if match}
    return [f"{stem}-{k:05}-of-{count:05}{ending}" for count in counts for k in range(1, count + 1)]


def _weight_map(index: Path) -> dict[str, str]:
    try:
        found = json.loads(index.read_text("utf-8"))["weight_map"]
        return {str(key): Path(str(name)).name for key, name in found.items()}  # only files of this folder
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableCheckpoint(f"{index} does not say which file holds which tensor ({type(error).__name__}: {error})") from error


def _no_weights(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return f"{folder} holds a LoRA adapter and not a whole checkpoint; merge it into its base model first"
    others = sorted(
        path.name for path in folder.iterdir() if path.suffix in (".pth", ".pt", ".ckpt", ".gguf", ".safetensors", ".bin", ".onnx")
    )
    expected = "model.safetensors or pytorch_model.bin, whole or in shards"
    return f"{folder} holds no weights that can be read: expected {expected}, found {', '.join(others) or 'none'}"


def read_index(folder: Path) -> dict[str, Entry]:
    """{key: what it is}, read from headers alone. Raises UnreadableCheckpoint for files that are damaged, name code, or miss tensors."""
    found: dict[str, Entry] = {}
    for file in weight_files(folder):
        entries = _entries(file)
        if twice := found.keys() & entries.keys():
            raise UnreadableCheckpoint(f"{min(twice)} is both in {found[min(twice)].file.name} and in {file.name}")
        found |= entries
    for stem, ending in FORMS:
        index = folder / f"{stem}{ending}.index.json"
        if found and index.is_file() and next(iter(found.values())).file.suffix == ending:
            _as_indexed(_weight_map(index), found)
    return found


def _as_indexed(told: Mapping[str, str], found: Mapping[str, Entry]) -> None:
    for key, name in told.items():
        if key not in found or found[key].file.name != name:
            raise UnreadableCheckpoint(f"the index says that {name} holds {key}, but it does not; the shards are of different checkpoints")


def _entries(file: Path) -> dict[str, Entry]:
    if file.suffix == ".safetensors":
        with _opened(file, "np") as opened:
            slices = {key: opened.get_slice(key) for key in opened.keys()}  # noqa: SIM118, it is no dict
            return {key: Entry(tuple(part.get_shape()), part.get_dtype(), file) for key, part in slices.items()}
    return {key: Entry(tuple(tensor.shape), _spelt(tensor.dtype), file) for key, tensor in _torch_file(file, "meta").items()}


def _opened(file: Path, framework: str) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(file, framework)
    except SafetensorError as error:
        raise UnreadableCheckpoint(f"{file} is damaged or cut off ({error}); copy or download it again") from error


def _torch_file(file: Path, device: str) -> dict[str, Tensor]:
    import pickle
    import zipfile

    import torch

    try:
        found = torch.load(file, map_location=device, weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        raise UnreadableCheckpoint(f"{file} names code or is damaged, and nothing in it was run ({_brief(error)})") from error
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UnreadableCheckpoint(f"{file} is damaged or cut off ({_brief(error)}); copy or download it again") from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UnreadableCheckpoint(f"{file} holds other things than a table of tensors")
    return found


def _brief(error: Exception) -> str:
    """Its first sentence; torch's further ones advise to read files in ways that run what is in them."""
    return next(iter(str(error).splitlines()), type(error).__name__).split(". ")[0]


def _spelt(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    return {"bfloat16": "BF16"}.get(name, re.sub(r"^([a-z])[a-z]*(\d+)", lambda match: match[1].upper() + match[2], name))


def load_into(
    module: nn.Module,
    folder: Path,
    rows: Iterable[Row],
    dtype: torch.dtype,
    device: torch.device | str,
    parts: Iterable[str] | None = None,
) -> None:
    """Fills `module`, built on the meta device, with a folder's tensors, shard by shard and one tensor at a time.

    rows: the system's whole key table; parts: those that the module has and the folder must hold, all of the table's by default.
    Raises UnreadableCheckpoint, which names the first keys that are missing, unknown or of another shape or type.
    """
    table = list(rows)
    wanted = frozenset(row.part for row in table) if parts is None else frozenset(parts)
    index = read_index(folder)
    names = {row.key: row.parameter for row in table if row.parameter and row.part in wanted}
    _refuse_misfits(folder, index, compare({key: entry.shape for key, entry in index.items()}, table, wanted), names)
    for file in dict.fromkeys(entry.file for entry in index.values()):
        for key, tensor in read_tensors(file, [key for key, entry in index.items() if entry.file == file and key in names]):
            _assign(module, names[key], tensor.to(device=device, dtype=dtype, copy=True))
    left = [name for name, value in (*module.named_parameters(), *module.named_buffers()) if value.is_meta]
    assert not left, f"the key table has no row for {left[0]} and {len(left) - 1} more"


def _refuse_misfits(folder: Path, index: Mapping[str, Entry], check: Check, used: Iterable[str]) -> None:
    if not check.is_loadable:
        raise UnreadableCheckpoint(f"{folder} does not fit: {'; '.join(check.sentences())}")
    if strange := unreadable_dtypes(index, used):
        raise UnreadableCheckpoint(f"{folder} does not fit: {'; '.join(strange)}")


def unreadable_dtypes(index: Mapping[str, Entry], keys: Iterable[str]) -> list[str]:
    """A sentence for each tensor that is no plain floating-point number, such as a quantised checkpoint's."""
    strange = ((key, index[key]) for key in keys if index[key].dtype not in READABLE_DTYPES)
    return _first([f"{key} in {entry.file.name} is {entry.dtype}, expected one of {', '.join(READABLE_DTYPES)}" for key, entry in strange])


def read_tensors(file: Path, keys: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Some of a file's tensors, on the CPU, one at a time. Raises UnreadableCheckpoint."""
    if file.suffix == ".safetensors":
        with _opened(file, "pt") as opened:
            yield from ((key, opened.get_tensor(key)) for key in keys)
    else:
        found = _torch_file(file, "cpu")
        yield from ((key, found[key]) for key in keys)


def _assign(module: nn.Module, name: str, tensor: Tensor) -> None:
    from torch import nn

    path, _, last = name.rpartition(".")
    place = module.get_submodule(path)
    setattr(place, last, nn.Parameter(tensor, requires_grad=getattr(place, last).requires_grad))


def weights_digest(folder: Path, cache: Path) -> str:
    """SHA-256 over the bytes of config.json and all weight files. What a file gave is kept in `cache`, by its size and time."""
    files = [folder / "config.json", *weight_files(folder)]
    kept_in = cache / "weights-digests.json"
    known: dict[str, str] = {}
    with suppress(OSError, ValueError):  # a lost or torn note is made anew
        known = dict(json.loads(kept_in.read_text("utf-8")))
    digests = [_digest(file, known) for file in files]
    cache.mkdir(parents=True, exist_ok=True)
    _write_whole(kept_in, json.dumps(known))
    return hashlib.sha256("".join(f"{file.name} {digest}\n" for file, digest in zip(files, digests, strict=True)).encode()).hexdigest()


def _digest(file: Path, known: dict[str, str]) -> str:
    told = file.stat()
    place = f"{file.resolve()} {told.st_size} {told.st_mtime_ns}"
    if place not in known:
        with file.open("rb") as opened:
            known[place] = hashlib.file_digest(opened, "sha256").hexdigest()
    return known[place]


def _write_whole(path: Path, text: str) -> None:
    """Whoever reads meanwhile finds the old text or the new one, never half of it."""
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)
