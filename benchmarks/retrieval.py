"""Does a question find its needle among the blocks it looks at, and is the answer as good as from the whole memory?

    python -m benchmarks.retrieval [--weights FILE] [--frames 64,256,1024,4096] [--films 3] [--look-back N]
    python -m benchmarks.retrieval --day [--weights FILE]

Trains the needle model (benchmarks/needles.py; about seven minutes on one thread), or takes it from FILE, which is written where it does
not exist. --day: 86,400 frames with 128 needles, asked after 1, 6 and 24 hours: time to the first token with the blocks in memory and in
a folder, beside the whole memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import machine
from benchmarks.needles import FILLERS, KEYS, PATCHES, PROMPT, VALUES, WINDOW, Film, NeedleModel, load, made_film, save, train
from model.compression.summary_tokens import Ratios
from model.language.generate import Generation
from model.language.kv_memory import Block, KVBuffer
from model.language.retrieval import Retrieval, choose_blocks, mean_keys, question_queries, scores, stretches
from model.systems.manifest import Manifest, Recipe
from model.systems.memory_store import MemoryStore
from model.systems.video_xl import Memory
from pipelines.stores.folder import FolderBlobs

COUNTS = (4, 8, 16, 32)
DAY_HOURS, FRAMES_AN_HOUR, WINDOW_FRAMES = (1, 6, 24), 3600, WINDOW // PATCHES
ONE = Generation(max_new_tokens=1)
Scoring = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what is right: its ids, the value, and the block where the needle lies."""

    ids: tuple[int, ...]
    value: int
    block: int


def questions(film: Film, count: int, random: torch.Generator) -> list[Asked]:
    order = torch.randperm(len(film.needles), generator=random)[:count].tolist()
    return [Asked(question(key, random), value, frame // WINDOW_FRAMES) for frame, key, value in (film.needles[n] for n in order)]


def question(key: int, random: torch.Generator) -> tuple[int, ...]:
    fillers = torch.randint(KEYS + VALUES, KEYS + VALUES + FILLERS, (3,), generator=random)
    return (*fillers.tolist(), key)


def _plain(queries: Tensor, means: Tensor) -> Tensor:
    """As `scores`, without the mean block taken off."""
    return _products(queries, means).amax((1, 2))


def _row_mean(queries: Tensor, means: Tensor) -> Tensor:
    return _products(queries, means).amax(1).mean(1)


def _last_row(queries: Tensor, means: Tensor) -> Tensor:
    return _products(queries, means)[..., -1].amax(1)


def _around(queries: Tensor, means: Tensor) -> Tensor:
    """Less the mean of the 65 blocks around, not of all."""
    best = _products(queries, means).amax(1)
    ends = torch.arange(len(best))
    first, last = (ends - 32).clamp_min(0), (ends + 33).clamp_max(len(best))
    sums = torch.cat((torch.zeros_like(best[:1]), best.cumsum(0)))
    return (best - (sums[last] - sums[first]) / (last - first)[:, None]).amax(1)


def _shares(queries: Tensor, means: Tensor) -> Tensor:
    """Each head of each layer spreads one vote over the blocks, by softmax."""
    each = torch.einsum("lhte,nplhe->nplht", queries, means).amax(1) * queries.shape[-1] ** -0.5
    return each.softmax(0).sum((1, 2)).amax(1)


def _products(queries: Tensor, means: Tensor) -> Tensor:
    """(N, P, T)."""
    return torch.einsum("lhte,nplhe->npt", queries, means)


def _layer(number: int, queries: Tensor, means: Tensor) -> Tensor:
    return scores(queries[number : number + 1], means[:, :, number : number + 1])


WAYS: dict[str, tuple[int, Scoring]] = {
    "as it is (4 parts, less the mean block, best row)": (4, scores),
    "1 part": (1, scores),
    "2 parts": (2, scores),
    "8 parts: every row": (8, scores),
    "mean block not taken off": (4, _plain),
    "less the mean of 65 blocks around": (4, _around),
    "mean over the question's rows": (4, _row_mean),
    "the question's last row alone": (4, _last_row),
    "softmax over blocks, a vote a head": (4, _shares),
    "layer 2 alone": (4, partial(_layer, 1)),
    "layer 3 alone": (4, partial(_layer, 2)),
}


class Tally:
    """What came out for films of one length. ranks: of the needle's block, by way; depths: where in the film it lies, 0 to 1."""

    def __init__(self) -> None:
        self.ranks: dict[str, list[float]] = {way: [] for way in WAYS}
        self.depths: list[float] = []
        self.right: dict[str, list[bool]] = {}
        self.late: list[float] = []  # share of the blocks chosen for what was never shown that lie in the last third

    def found(self, way: str, count: int, third: int | None = None) -> float:
        pairs = zip(self.ranks[way], self.depths, strict=True)
        return float(np.mean([rank < count for rank, depth in pairs if third is None or int(depth * 3) == third]))

    def answered(self, name: str, is_right: bool) -> None:
        self.right.setdefault(name, []).append(is_right)


@torch.no_grad()
def ask_film(model: NeedleModel, film: Film, memory: Memory, tally: Tally, random: torch.Generator) -> None:
    system = model.system()
    means = {parts: mean_keys(memory.blocks, parts) for parts in {parts for parts, _ in WAYS.values()}}
    whole = system.opened(memory, 8)
    for asked in questions(film, 32, random):
        queries = question_queries(model.decoder, memory.sink, asked.ids)
        for way, (parts, scoring) in WAYS.items():
            tally.ranks[way].append(_rank(scoring(queries, means[parts]), asked.block))
        tally.depths.append(asked.block / len(memory.blocks))
        tally.answered("all", _answer(model, whole, asked.ids) == asked.value)
        for count in COUNTS:
            shared = scores(queries, means[4]).topk(min(count, len(memory.blocks))).indices.sort().values.tolist()
            tally.answered(f"{count}", _answer(model, _reduced(memory, [shared] * 3), asked.ids) == asked.value)
            own = [_layer(n, queries, means[4]).topk(len(shared)).indices.sort().values.tolist() for n in range(3)]
            tally.answered(f"{count} a layer", _answer(model, _reduced(memory, own), asked.ids) == asked.value)
            kept = sorted({0, len(memory.blocks) - 1, *scores(queries, means[4]).topk(max(1, len(shared) - 2)).indices.tolist()})
            tally.answered(f"{count} with first and last", _answer(model, _reduced(memory, [kept] * 3), asked.ids) == asked.value)
    unseen = sorted(set(range(KEYS)) - {key for _, key, _ in film.needles})[:16]
    if len(memory.blocks) > 4 * COUNTS[2]:
        chosen = choose_blocks(model.decoder, memory.sink, means[4], [question(key, random) for key in unseen], Retrieval(blocks=16))
        tally.late += [float(np.mean([3 * number >= 2 * len(memory.blocks) for number in numbers])) for numbers in chosen]


def _rank(scored: Tensor, block: int) -> float:
    """How many blocks are better; of equals, half."""
    better, equal = int((scored > scored[block]).sum()), int((scored == scored[block]).sum())
    return better + (equal - 1) / 2


def _reduced(memory: Memory, chosen: Sequence[Sequence[int]]) -> Memory:
    """chosen: the numbers for each layer, equally many."""
    if len(set(map(tuple, chosen))) == 1:
        return Memory(memory.sink, tuple(memory.blocks[n] for n in chosen[0]))
    columns = [[memory.blocks[n] for n in column] for column in zip(*chosen, strict=True)]
    rows = min(len(block) for column in columns for block in column)
    return Memory(memory.sink, tuple(_stacked(column, rows) for column in columns))


def _stacked(column: Sequence[Block], rows: int) -> Block:
    keys, values = (torch.stack([getattr(b, kind)[n, :, :rows] for n, b in enumerate(column)]) for kind in ("keys", "values"))
    return Block(keys, values, column[0].start, column[0].end)


def _answer(model: NeedleModel, memory: Memory | KVBuffer, ids: Sequence[int]) -> int:
    return int(model.system().text_logits(memory, ids)[-1].argmax())


def measure(model: NeedleModel, lengths: Sequence[int], films: int, look_back: int | None) -> None:
    for frames in lengths:
        tally = Tally()
        for seed in range(films):
            random = torch.Generator().manual_seed(10_000 + seed)
            film = made_film(frames, min(KEYS - 16, frames // 2), random, model.codes)
            ask_film(model, film, model.watched(film, look_back), tally, random)
        _show(frames, tally)


def _show(frames: int, tally: Tally) -> None:
    print(f"\n{frames} frames, {-(-frames // WINDOW_FRAMES)} blocks, {len(tally.depths)} questions; blocks looked at: {COUNTS}")
    print(f"  right with all blocks {np.mean(tally.right['all']):.2f}")
    for name in ("", " a layer", " with first and last"):
        print(f"  right, {'shared' if not name else name.strip():20}", *(f"{np.mean(tally.right[f'{c}{name}']):.2f}" for c in COUNTS))
    for way in WAYS:
        thirds = " ".join(f"{tally.found(way, 8, third):.2f}" for third in range(3))
        print(f"  found, {way:50}", *(f"{tally.found(way, c):.2f}" for c in COUNTS), f"  of 8 by third of the film: {thirds}")
    if tally.late:
        print(f"  asked for what was never shown: {np.mean(tally.late):.2f} of 16 blocks in the last third", flush=True)


def day(model: NeedleModel, look_back: int) -> None:
    """A needle every 675 frames on average."""
    random = torch.Generator().manual_seed(77)
    film = made_film(DAY_HOURS[-1] * FRAMES_AN_HOUR, KEYS, random, model.codes)
    system = model.system()
    watching = system.watch(PROMPT, Ratios((PATCHES,)), look_back=look_back)
    print("hours, blocks; MiB of all blocks, of their means, of the blocks looked at; ms of choosing, to the first token with blocks in")
    print("memory, in a folder, and of all blocks; share right from memory, from the folder, from all blocks (five questions)")
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        hour_s = []
        for hour, patches in enumerate(film.patches.split(FRAMES_AN_HOUR), 1):
            hour_began = time.process_time()
            for some in patches.split(WINDOW_FRAMES):
                watching.add(model.projector(some).flatten(0, 1))
            hour_s.append(time.process_time() - hour_began)
            if hour in DAY_HOURS:
                shown = replace(film, needles=tuple(n for n in film.needles if n[0] < hour * FRAMES_AN_HOUR))
                _ask_day(model, shown, watching.memory, MemoryStore(FolderBlobs(Path(folder))), hour, random)
    quarters = ", ".join(f"{np.mean(hour_s[first : first + 6]):.1f}" for first in range(0, len(hour_s), 6))
    print(f"processor seconds to watch an hour, on average in each six hours: {quarters}")


def _ask_day(model: NeedleModel, film: Film, memory: Memory, store: MemoryStore, hour: int, random: torch.Generator) -> None:
    system, manifest = model.system(), _manifest(hour)
    store.put(manifest, memory)
    stored = store.find(manifest.recipe.key)
    assert stored and stored.digests
    digests = stored.digests

    def from_folder(number: int) -> Block:
        return store.block(manifest.recipe.key, number, digests[1 + number])

    means = mean_keys(memory.blocks)
    asked = questions(film, 32, random)
    times: dict[str, list[float]] = {"choosing": [], "memory": [], "folder": [], "all": []}
    right: dict[str, list[bool]] = {"memory": [], "folder": [], "all": []}
    for one in asked:
        for name, fetch in (("memory", memory.blocks.__getitem__), ("folder", from_folder)):
            began = time.perf_counter()
            chosen = choose_blocks(model.decoder, memory.sink, means, [one.ids], Retrieval())
            times["choosing"].append(time.perf_counter() - began)
            token = next(system.answer_from(memory.sink, fetch, chosen, [one.ids], ONE))
            times[name].append(time.perf_counter() - began)
            right[name].append(token.id == one.value)
    for one in asked[:5]:
        began = time.perf_counter()
        token = next(system.answer(memory, [one.ids], ONE))
        times["all"].append(time.perf_counter() - began)
        right["all"].append(token.id == one.value)
    looked = [memory.blocks[n] for n in chosen[0]]
    sizes = [sum(b.size_bytes for b in memory.blocks), means.nbytes, sum(b.size_bytes for b in looked)]
    spans = ", ".join(f"{span.start_s:.0f}-{span.end_s:.0f}" for span in (manifest.span(*tokens) for tokens in stretches(looked)))
    sizes_told = " ".join(f"{size / 2**20:10.2f}" for size in sizes)
    times_told = " ".join(f"{statistics.median(taken) * 1000:8.1f}" for taken in times.values())
    right_told = " ".join(f"{np.mean(each):.2f}" for each in right.values())
    print(f"{hour:5} {len(memory.blocks):7} {sizes_told} | {times_told} | {right_told}")
    print(f"       looked at, seconds: {spans}; the needle lies at {asked[-1].block * WINDOW_FRAMES}", flush=True)


def _manifest(hours: int) -> Manifest:
    frames = hours * FRAMES_AN_HOUR
    recipe = Recipe(
        video_id=f"needles, {hours} h", sampling="1 fps", preprocessing="none", prompt_ids=PROMPT, ratios=str(PATCHES), weights="needles",
        dtype="float32",
    )  # fmt: skip
    times_s = np.arange(frames, dtype=np.float64)
    return Manifest(
        recipe=recipe, tokens_per_frame=PATCHES, times_s=times_s, ticks=times_s.astype(np.int64), duration_s=float(frames),
        is_complete=True, window=WINDOW,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--frames", default="64,256,1024,4096")
    parser.add_argument("--films", type=int, default=3)
    parser.add_argument("--look-back", type=int)
    parser.add_argument("--day", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    if options.weights and options.weights.exists():
        model = load(options.weights)
    else:
        model = train(report=True)
        if options.weights:
            save(model, options.weights)
    if options.day:
        day(model, options.look_back or 32)
    else:
        measure(model, [int(n) for n in options.frames.split(",")], options.films, options.look_back)


if __name__ == "__main__":
    main()
