"""Reads tensors from torch files without running code and without torch: the zip form, and the legacy form before torch 1.6.

Both are pickles that name a handful of things. Everything else that a pickle could name is refused, so a hostile file can be
wrong but never acts.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a legacy file
DTYPES: Mapping[str, str] = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "?",
}  # fmt: skip


class UnreadableCheckpoint(Exception):
    """The file is not a table of tensors that can be read without running code. Trying again will not help."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A storage type, by name only."""

    dtype: np.dtype[Any]


@dataclass(slots=True)
class _Storage:
    """The raw values behind one or more tensors; a legacy file gives them after the tensors."""

    kind: _Kind
    count: int
    values: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage that may not be read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        values = self.storage.values
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) if 0 not in self.shape else 0
        # A stride of 0 could make terabytes of one number.
        if values is None or min(self.offset, *self.strides, *self.shape, 0) < 0 or max(last + 1, prod(self.shape)) > max(len(values), 1):
            raise UnreadableCheckpoint("a tensor reaches outside its storage")
        item = values.itemsize
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, tuple(s * item for s in self.strides))
        return view.copy()


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise UnreadableCheckpoint("a tensor is not built on a storage")
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: _Tensor, *_: object) -> _Tensor:
    return tensor


ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): _Kind(np.dtype(dtype)) for name, dtype in DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, load_storage: Callable[[str, _Kind, int], _Storage]) -> None:
        super().__init__(file)
        self._load_storage = load_storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise UnreadableCheckpoint(f"it names {module}.{name}, which a table of tensors has no use for; nothing was run")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], _Kind)):
            raise UnreadableCheckpoint("it refers to something that is no storage")
        return self._load_storage(str(pid[2]), pid[1], int(pid[4]))


def read_torch_file(path: Path) -> Tensors:
    """{name: array} of a state dict saved by `torch.save`, in either form; nested tables are joined by dots.

    Raises UnreadableCheckpoint where the file is damaged, holds other things than tensors, or names code.
    """
    try:
        found = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    except (pickle.UnpicklingError, EOFError, zipfile.BadZipFile, KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise UnreadableCheckpoint(f"{path.name} is damaged or no torch file ({type(error).__name__}: {error})") from error
    except UnreadableCheckpoint as error:
        raise UnreadableCheckpoint(f"{path.name}: {error}") from error
    return dict(_flat(found))


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        table = next(name for name in [*archive.namelist(), ""] if name.endswith("data.pkl"))
        folder = table.removesuffix("data.pkl")

        def load(key: str, kind: _Kind, count: int) -> _Storage:
            return _Storage(kind, count, np.frombuffer(archive.read(f"{folder}data/{key}"), kind.dtype, count))

        return _Unpickler(io.BytesIO(archive.read(table)), load).load()


def _read_legacy(path: Path) -> Any:
    storages: dict[str, _Storage] = {}

    def load(key: str, kind: _Kind, count: int) -> _Storage:
        return storages.setdefault(key, _Storage(kind, count))

    with path.open("rb") as file:
        if _Unpickler(file, load).load() != MAGIC:
            raise UnreadableCheckpoint("it does not begin as a torch file does")
        for _ in ("protocol", "system"):
            _Unpickler(file, load).load()
        found = _Unpickler(file, load).load()
        for key in _Unpickler(file, load).load():
            storage = storages[key]
            count = int.from_bytes(file.read(8), "little")
            storage.values = np.frombuffer(file.read(count * storage.kind.dtype.itemsize), storage.kind.dtype, storage.count)
    return found


def _flat(found: Any, prefix: str = "") -> list[tuple[str, NDArray[Any]]]:
    if isinstance(found, _Tensor):
        return [(prefix, found.array())]
    if isinstance(found, Mapping):
        return [row for name, value in found.items() for row in _flat(value, f"{prefix}.{name}" if prefix else str(name))]
    raise UnreadableCheckpoint(f"{prefix or 'the file'} is {type(found).__name__}, not a tensor")
