"""What a question costs when its memory lies on the device, on the host or in the store, beside what watching cost.

    python -m benchmarks.memory_tiers                                   # an hour at 1 fps, ratio 16, tiny but wide, on the CPU
    python -m benchmarks.memory_tiers --made-up --threads 1             # the tiers alone, nothing watched
    python -m benchmarks.memory_tiers --frames 30 --questions 2         # the same script at its smallest
    python -m benchmarks.memory_tiers --size 7b --device cuda --dtype bfloat16 --frames 512 2048

Random weights, random visual tokens, 144 a frame; every figure is a median over the questions. On a CPU device and host are the same
RAM, so they differ by nothing but bookkeeping. The store is a folder whose files were just written: the system has them in its cache.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import machine
from benchmarks.video_xl import PROMPT, SIZES, done, features, size_mib, system
from model.compression.summary_tokens import Ratios
from model.language.generate import Generation
from model.language.kv_memory import Block
from model.language.retrieval import Retrieval, choose_blocks
from model.systems.manifest import Manifest, Recipe
from model.systems.memory_file import load_memory, save_memory
from model.systems.memory_store import MemoryStore
from model.systems.shelf import Shelf
from model.systems.video_xl import Memory, VideoXL
from model.systems.video_xl_folder import DTYPES
from pipelines.stores.folder import FolderBlobs

TOKENS_PER_FRAME = 144
CHOSEN = Retrieval()


@dataclass(frozen=True, slots=True)
class Bench:
    """One memory in a store, under two names: of these, each drives the other from the device."""

    net: VideoXL
    store: MemoryStore
    memory: Memory
    manifest: Manifest
    other: Manifest

    @property
    def size_bytes(self) -> int:
        """In use: rotated keys, and values."""
        return sum(block.size_bytes for block in (self.memory.sink, *self.memory.blocks))

    @property
    def key(self) -> str:
        return self.manifest.recipe.key


def watched(net: VideoXL, lengths: Sequence[int], ratio: int) -> dict[int, tuple[Memory, float]]:
    """The memory after so many frames, and the seconds that it took."""
    device = str(net.decoder.device)
    visual = features(net, net.config.summary.window)  # over and over: what a window shows changes no cost
    watching, found = net.watch(PROMPT, Ratios((ratio,))), {}
    began = done(device)
    for frames in sorted(lengths):
        while (wanted := frames * TOKENS_PER_FRAME - watching.visual_tokens) > 0:
            watching.add(visual[:wanted])
        found[frames] = watching.memory, done(device) - began
    return found


def made_up(net: VideoXL, lengths: Sequence[int], ratio: int) -> dict[int, tuple[Memory, float]]:
    """Random keys and values instead of watched ones, which cost a question the same; nothing was watched, so it took no time."""
    config, window = net.config.decoder, net.config.summary.window
    shape = config.layers, config.kv_heads, window // ratio, config.head_dim
    sink = net.sink(PROMPT)
    blocks = [
        Block(*(torch.randn(shape).to(sink.keys) for _ in range(2)), number * window, (number + 1) * window)
        for number in range(max(lengths) * TOKENS_PER_FRAME // window)
    ]
    return {frames: (Memory(sink, tuple(blocks[: frames * TOKENS_PER_FRAME // window])), 0.0) for frames in sorted(lengths)}


def manifest(net: VideoXL, memory: Memory, ratio: int, video: str) -> Manifest:
    recipe = Recipe(
        video_id=video, sampling="1 fps", preprocessing="none", prompt_ids=tuple(PROMPT), ratios=str(ratio), weights="random",
        dtype=str(net.decoder.dtype),
    )  # fmt: skip
    frames = memory.visual_tokens // TOKENS_PER_FRAME
    return Manifest(
        recipe=recipe, tokens_per_frame=TOKENS_PER_FRAME, times_s=np.arange(frames, dtype=np.float64), ticks=np.arange(frames),
        duration_s=float(frames), is_complete=True, window=net.config.summary.window,
    )  # fmt: skip


def on_device_open(bench: Bench, used: Shelf | None) -> Shelf:
    shelf = used or Shelf(bench.net, bench.store, 2 * bench.size_bytes, 0)
    with shelf.open(bench.key):
        return shelf


def on_device(bench: Bench, used: Shelf | None) -> Shelf:
    shelf = Shelf(bench.net, bench.store, 2 * bench.size_bytes, 0)
    shelf.put(bench.manifest, bench.memory)
    return shelf


def on_host(bench: Bench, used: Shelf | None) -> Shelf:
    shelf = used or Shelf(bench.net, bench.store, bench.size_bytes, 2 * bench.size_bytes)
    for key in (bench.key, bench.other.recipe.key):  # the same blocks, which stay on the host while one buffer drives out the other
        with shelf.open(key):
            pass
    shelf.mean_keys(bench.key)
    return shelf


def in_store(bench: Bench, used: Shelf | None) -> Shelf:
    return Shelf(bench.net, bench.store, bench.size_bytes, 0)


Prepare = Callable[[Bench, Shelf | None], Shelf]
PLACES: Mapping[str, Prepare] = {"device, open": on_device_open, "device": on_device, "host": on_host, "store": in_store}


def first_token(shelf: Shelf, key: str, text: Sequence[int], *, chosen: bool) -> float:
    """Seconds from the question to its first token. chosen: from the blocks that answer it best, not from all."""
    net, device = shelf.system, str(shelf.system.decoder.device)
    began = done(device)
    numbers = None
    if chosen:
        (numbers,) = choose_blocks(net.decoder, shelf.block(key), shelf.mean_keys(key).to(device), [text], CHOSEN)
    with shelf.open(key, numbers) as buffer:
        next(net.answer(buffer, [text], Generation(max_new_tokens=1, stop_ids=frozenset())))
    return done(device) - began


def median_ms(bench: Bench, prepare: Prepare, texts: Sequence[Sequence[int]], *, chosen: bool) -> float:
    shelf, took = None, []
    for text in texts:
        shelf = prepare(bench, shelf)
        took.append(first_token(shelf, bench.key, text, chosen=chosen))
    return 1000 * statistics.median(took)


def tell_tiers(bench: Bench, texts: Sequence[Sequence[int]]) -> None:
    for name, prepare in PLACES.items():
        line = f"  first token, memory in: {name:13} {median_ms(bench, prepare, texts, chosen=False):8.1f} ms"
        if name != "device, open":
            line += f"   from {CHOSEN.blocks} chosen blocks {median_ms(bench, prepare, texts, chosen=True):8.1f} ms"
        print(line, flush=True)


def tell_second(bench: Bench, texts: Sequence[Sequence[int]], watched_s: float) -> None:
    device, options = str(bench.net.decoder.device), Generation(max_new_tokens=32, stop_ids=frozenset())
    took = []
    with on_device_open(bench, None).open(bench.key) as buffer:
        for text in texts:
            began = done(device)
            tokens = sum(1 for _ in bench.net.answer(buffer, [text], options))
            took.append(done(device) - began)
    second_s = statistics.median(took)
    share = f", {second_s / watched_s:.2%} of watching" if watched_s else ""
    print(f"  a further question, {tokens} tokens: {second_s:.3f} s{share}", flush=True)


def tell_file(bench: Bench, folder: Path) -> None:
    for bits in (None, 8, 4):
        began = done("cpu")
        save_memory(folder / "memory", bench.memory, bench.manifest, bits)
        saved = done("cpu")
        load_memory(folder / "memory", bench.manifest.recipe)
        took = f"saved in {saved - began:.2f} s, loaded in {done('cpu') - saved:.2f} s"
        print(f"  file, {bits or 'all'} bits: {(folder / 'memory').stat().st_size / 2**20:.1f} MiB, {took}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="wide")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--frames", type=int, nargs="+", default=[225, 900, 3600])
    parser.add_argument("--ratio", type=int, default=16)
    parser.add_argument("--questions", type=int, default=9)
    parser.add_argument("--made-up", action="store_true", help="random keys and values: the tiers alone, without watching first")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{machine()}; torch {torch.__version__}, {arguments.threads} threads, {arguments.device}, {arguments.dtype}")
    net = system(arguments)
    random = torch.Generator().manual_seed(2)
    texts = [torch.randint(0, net.config.decoder.vocab_size, (40,), generator=random).tolist() for _ in range(arguments.questions)]
    memories = (made_up if arguments.made_up else watched)(net, arguments.frames, arguments.ratio)
    for frames, (memory, watched_s) in memories.items():
        whole = manifest(net, memory, arguments.ratio, "random")
        other = replace(whole, recipe=replace(whole.recipe, video_id="other"))
        came = f"watched in {watched_s:.1f} s" if watched_s else "made up"
        print(f"{frames} frames: {memory.rows} rows, {size_mib(memory):.1f} MiB, {came}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(net, MemoryStore(FolderBlobs(Path(folder))), memory, whole, other)
            bench.store.put(whole, memory)
            bench.store.put(other, memory)
            tell_tiers(bench, texts)
            tell_second(bench, texts, watched_s)
            tell_file(bench, Path(folder))


if __name__ == "__main__":
    main()
