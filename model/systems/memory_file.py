"""A memory as bytes: one safetensors file a memory, or one a block. Keys are kept un-rotated, so that a block may be put anywhere.

A block's tensors stand by themselves under its number, with a digest, so that one block can be read and trusted alone; beside them stand
the mean keys of all blocks, by which a question finds the blocks that answer it.

N = blocks, P = parts of a block, L = layers, G = key heads, E = width of a head.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file
from torch import Tensor

from model.compression.few_bits import FEW, Coded
from model.language.kv_memory import Block
from model.language.retrieval import mean_keys
from model.systems.manifest import Manifest, MemoryMismatch, Recipe, UnreadableMemory
from model.systems.video_xl import Memory

TOLD = "longtake.memory"  # the one key of a file's metadata: SHA-256 of a JSON text, and the text
_PLAIN = ("keys", "values")
_CODED = tuple(f"{kind}.{part}" for kind in _PLAIN for part in ("codes", "scale", "low"))
DTYPES = {str(kind).removeprefix("torch."): kind for kind in (torch.float32, torch.float16, torch.bfloat16)}


@dataclass(frozen=True, slots=True)
class Loss:
    """What coding in few bits costs: the error's norm over the number's, all blocks together."""

    keys: float
    values: float


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the table of a file says of a block. digest: SHA-256 of its tensors."""

    start: int
    end: int
    rows: int
    digest: str

    def __post_init__(self) -> None:
        if [type(part) for part in (self.start, self.end, self.rows, self.digest)] != [int, int, int, str]:
            raise ValueError(f"a block is told by its first and last token, its rows and its digest, got {self}")


def measure_loss(memory: Memory, bits: int) -> Loss:
    wrong, whole = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for block in memory.blocks:
        for place, x in enumerate((block.keys, block.values)):
            back = Coded.of(x, bits).restored(bits, len(block), x.dtype)
            wrong[place] += (back.double() - x.double()).square().sum().cpu()
            whole[place] += x.double().square().sum().cpu()
    return Loss(*(wrong / whole.clamp_min(torch.finfo(torch.float64).tiny)).sqrt().tolist())


def means_of(memory: Memory) -> Tensor:
    """(N, P, L, G, E) float32: what `retrieval.choose_blocks` knows the blocks by."""
    return mean_keys(memory.blocks).cpu() if memory.blocks else torch.empty(0)


def save_memory(path: Path, memory: Memory, manifest: Manifest, bits: int | None = None) -> Manifest:
    """Write a memory as one file; what was there stays until all of it is written. Returns the manifest as the file tells it.

    bits: 8 or 4 for keys and values in few bits; the prompt before the video stays as it is. None: everything as it is.
    """
    manifest = _with_loss(manifest, memory, bits)
    tensors, table = {"mean_keys": means_of(memory)}, []
    for name, block in (("sink", memory.sink), *((f"{n:05}", block) for n, block in enumerate(memory.blocks))):
        found = _tensors(block, None if name == "sink" else bits)
        table.append(_entry(block, found))
        tensors |= {f"{name}.{part}": x for part, x in found.items()}
    check_blocks(memory.blocks, manifest)
    told = {
        "manifest": manifest.to_json(), "dtype": _dtype_name(memory.sink), "blocks": [astuple(entry) for entry in table],
        "mean_keys": _digest({"mean_keys": tensors["mean_keys"]}),
    }  # fmt: skip
    _write(path, tensors, told)
    return manifest


def load_memory(path: Path, expected: Recipe | None = None) -> tuple[Memory, Manifest]:
    """Raises FileNotFoundError; UnreadableMemory where the file is damaged or no memory; MemoryMismatch where it was made otherwise."""
    file = MemoryFile(path, expected)
    return Memory(file.sink(), tuple(file.blocks())), file.manifest


class MemoryFile:
    """A memory's file of which blocks are read one by one. Raises as `load_memory` does."""

    def __init__(self, path: Path, expected: Recipe | None = None) -> None:
        self.path = path
        with _opened(path) as file:
            told = _told_in(file.metadata())
        self.manifest = Manifest.from_json(told.get("manifest"))
        if expected and self.manifest.recipe != expected:
            raise MemoryMismatch(self.manifest.recipe, expected, str(path))
        with _readable(path):
            self._dtype = DTYPES[told["dtype"]]
            self._mean_keys = told["mean_keys"]
            self._table = [_Entry(*entry) for entry in told["blocks"]]
            check_blocks(self._table[1:], self.manifest)

    def __len__(self) -> int:
        """Blocks, the prompt not counted."""
        return len(self._table) - 1

    def sink(self) -> Block:
        with _opened(self.path) as file:
            return _block(_read(file, "sink", _PLAIN), self._table[0], self._dtype, None)

    def block(self, number: int) -> Block:
        with _opened(self.path) as file:
            return self._block(file, range(len(self))[number])

    def blocks(self) -> Iterator[Block]:
        with _opened(self.path) as file:
            for number in range(len(self)):
                yield self._block(file, number)

    def _block(self, file: Any, number: int) -> Block:
        bits = self.manifest.bits
        tensors = _read(file, f"{number:05}", _CODED if bits in FEW else _PLAIN)
        return _block(tensors, self._table[1 + number], self._dtype, bits)

    def mean_keys(self) -> Tensor:
        """(N, P, L, G, E) float32, as `means_of` makes them; read without the blocks."""
        with _opened(self.path) as file:
            found: Tensor = file.get_tensor("mean_keys")
            if _digest({"mean_keys": found}) != self._mean_keys:
                raise ValueError("its mean keys are not as they were written")
        return found


def pack(tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> bytes:
    """Tensors with what is told of them, as JSON; both guarded by a digest."""
    alone = {name: _alone(x.detach().cpu()) for name, x in tensors.items()}
    return save(alone, _metadata({"digest": _digest(alone), "told": told}))


def unpack(data: bytes, place: str = "a stored block") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What is told has the tensors' digest too. Raises UnreadableMemory where it is not as it was packed."""
    with _readable(place):
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        told = _told_in(header.get("__metadata__"))
        if _digest(tensors) != told["digest"]:
            raise ValueError("its tensors are not as they were written")
        return tensors, {**told["told"], "digest": told["digest"]}


def pack_block(block: Block, told: Mapping[str, Any] | None = None) -> bytes:
    """A block alone, as it is. told: what else stands with it."""
    return pack({"keys": block.keys, "values": block.values}, {"start": block.start, "end": block.end, **(told or {})})


def unpack_block(data: bytes, place: str = "a stored block") -> tuple[Block, dict[str, Any]]:
    """The block, and what was told with it, its digest among it. Raises UnreadableMemory where it is not as it was packed."""
    tensors, told = unpack(data, place)
    with _readable(place):
        return Block(tensors["keys"], tensors["values"], told.pop("start"), told.pop("end")), told


def digest_of(block: Block) -> str:
    """SHA-256 of a block's keys and values."""
    return _digest(_tensors(block, None))


def _read(file: Any, name: str, parts: Sequence[str]) -> dict[str, Tensor]:
    return {part: file.get_tensor(f"{name}.{part}") for part in parts}


def _with_loss(manifest: Manifest, memory: Memory, bits: int | None) -> Manifest:
    if bits is None:
        return replace(manifest, bits=memory.sink.keys.element_size() * 8)
    loss = measure_loss(memory, bits)  # on top of what this memory may have lost before
    return replace(manifest, bits=bits, key_loss=manifest.key_loss + loss.keys, value_loss=manifest.value_loss + loss.values)


def _tensors(block: Block, bits: int | None) -> dict[str, Tensor]:
    found = {"keys": block.keys, "values": block.values}
    if bits:
        coded = {kind: Coded.of(x, bits) for kind, x in found.items()}
        found = {f"{kind}.{part}": getattr(x, part) for kind, x in coded.items() for part in ("codes", "scale", "low")}
    return {name: _alone(x.detach().cpu()) for name, x in found.items()}


def _alone(x: Tensor) -> Tensor:
    """A file wants every tensor whole, and none a view into another."""
    return x if x.is_contiguous() and x.untyped_storage().nbytes() == x.nbytes else x.clone(memory_format=torch.contiguous_format)


def _block(tensors: Mapping[str, Tensor], entry: _Entry, dtype: torch.dtype, bits: int | None) -> Block:
    if _digest(tensors) != entry.digest:
        raise ValueError(f"the block of visual tokens [{entry.start}, {entry.end}) is not as it was written")
    if bits not in FEW:
        return Block(tensors["keys"], tensors["values"], entry.start, entry.end)
    keys, values = (
        Coded(*(tensors[f"{kind}.{part}"] for part in ("codes", "scale", "low"))).restored(bits, entry.rows, dtype)
        for kind in ("keys", "values")
    )
    return Block(keys, values, entry.start, entry.end)


def _entry(block: Block, tensors: Mapping[str, Tensor]) -> _Entry:
    return _Entry(block.start, block.end, len(block), _digest(tensors))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    names = sorted(tensors)
    digest = sha256(json.dumps([(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]).encode())
    for name in names:
        digest.update(tensors[name].view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_blocks(blocks: Sequence[Block | _Entry], manifest: Manifest) -> None:
    """Blocks follow each other window by window, as far as frames were watched. Raises ValueError."""
    starts = [0, *(block.end for block in blocks)]
    if [block.start for block in blocks] != starts[:-1]:
        raise ValueError("its blocks do not follow each other")
    if any(block.end - block.start != manifest.window for block in blocks[:-1]):
        raise ValueError(f"its blocks are not windows of {manifest.window} visual tokens")
    _check_frames(manifest, starts[-1])


def _check_frames(manifest: Manifest, visual_tokens: int) -> None:
    told = len(manifest.times_s) * manifest.tokens_per_frame
    if visual_tokens > told or (manifest.is_complete and visual_tokens != told):
        raise ValueError(
            f"the memory holds {visual_tokens} visual tokens, its manifest tells of {len(manifest.times_s)} frames "
            f"of {manifest.tokens_per_frame}{' watched to the end' if manifest.is_complete else ''}"
        )


def _dtype_name(block: Block) -> str:
    return str(block.keys.dtype).removeprefix("torch.")


def _metadata(told: Mapping[str, Any]) -> dict[str, str]:
    text = json.dumps(told)
    return {TOLD: f"{sha256(text.encode()).hexdigest()} {text}"}


def _told_in(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    if not metadata or TOLD not in metadata:
        raise ValueError("it holds tensors, but tells of no video")
    digest, _, text = metadata[TOLD].partition(" ")
    if sha256(text.encode()).hexdigest() != digest:
        raise ValueError("what it tells of itself is not as it was written")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("what it tells of itself is not a table")
    return found


@contextmanager
def _readable(place: Path | str) -> Iterator[None]:
    """Whatever is wrong with the bytes is told in one way."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UnreadableMemory(f"{place} is damaged or no memory of a video: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with _readable(path), safe_open(path, "pt") as file:
        yield file


def _write(path: Path, tensors: dict[str, Tensor], told: Mapping[str, Any]) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        kept = Path(file.name)
    try:
        save_file(tensors, kept, _metadata(told))
        kept.replace(path)
    except BaseException:
        kept.unlink(missing_ok=True)
        raise
