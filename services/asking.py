"""`longtake watch` and `ask`: a film watched once into a memory, and asked any number of times."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from model.compression.summary_tokens import Ratios
from model.systems.manifest import Manifest, Recipe, UnreadableMemory
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_plan import plan_tokens, size_told
from pipelines.interfaces import WrongRequest
from pipelines.looking import regular_file
from pipelines.remembering import Kept, remember
from pipelines.viewing import PREPROCESSING, Sampling, Viewing, view
from pipelines.watching import identify
from services.looking import print_json
from services.opening import open_store
from services.progress import progress_bars
from services.systems import SystemChoice, open_system

if TYPE_CHECKING:
    from model.language.generate import Generation
    from model.systems.video_xl_folder import OpenVideoXL, Question, Said


@dataclass(frozen=True, slots=True)
class WatchOrder:
    """How a film is to be watched."""

    choice: SystemChoice
    sampling: Sampling
    ratio: str = "16"
    store: str | None = None
    workers: int | None = None
    beyond: bool = False  # go on although the memory will not fit the model's context
    look_back: int | None = None  # windows that a window sees; all of them, as published, where None

    @property
    def ratios(self) -> Ratios:
        return Ratios.parse(self.ratio)


@dataclass(frozen=True, slots=True)
class Watched:
    """A film's memory, and how it came about."""

    kept: Kept
    seconds: float  # of watching; 0 where it was there already
    path: Path | None = None  # of the file it was written to

    def told(self) -> dict[str, Any]:
        manifest, blocks = self.kept.manifest, self.kept.memory.blocks
        return {
            "status": status(self.kept),
            "key": manifest.recipe.key,
            "coverage": coverage(manifest),
            "frames": len(manifest.times_s),
            "summary_tokens": sum(map(len, blocks)),
            "size_bytes": sum(block.size_bytes for block in (self.kept.memory.sink, *blocks)),
            "settings": settings(manifest.recipe),
            "lost": list(self.kept.lost),
            "seconds": round(self.seconds, 3),
            "file": None if self.path is None else str(self.path),
        }


def watch_to_file(video: Path, order: WatchOrder, out: Path | None, bits: int | None, *, as_json: bool) -> None:
    """Watch, and write the memory where it is wanted as a file."""
    if bits not in (None, 8, 4):
        raise WrongRequest(f"--bits: numbers are written as they are, or in 8 or 4 bits, not in {bits}")
    if out is not None and not is_memory_file(out):
        raise WrongRequest(f"--memory: a memory's file ends in .safetensors, {out} does not")
    system = _opened(order, video)
    watched = watched_film(video, order, system)
    if out:
        from model.systems.memory_file import save_memory

        manifest = save_memory(out, watched.kept.memory, watched.kept.manifest, bits)
        watched = Watched(Kept(watched.kept.memory, manifest, watched.kept.lost), watched.seconds, out)
    if as_json:
        print_json(watched.told())
    else:
        _show_watched(watched, video.name)


def _opened(order: WatchOrder, target: Path) -> OpenVideoXL:
    """The system, once what can be checked without its 17 GB is in order."""
    assert order.ratios  # or WrongRatio
    regular_file(target)
    return open_system(order.choice)


def watched_film(video: Path, order: WatchOrder, system: OpenVideoXL) -> Watched:
    """The film's memory from the store, or watched now. Raises UnreadableVideo, WrongRequest where it does not fit."""
    from model.systems.memory_store import MemoryStore

    film = identify(video)
    viewing = view(film.path, order.sampling, system.encoder.size_px)
    _check_fit(system.config, viewing, order)
    recipe = system.recipe(film.id, str(order.sampling), PREPROCESSING, order.ratios, order.look_back)
    blobs = open_store(order.store).blobs
    began = time.monotonic()
    with progress_bars() as progress:
        kept = remember(
            viewing, system, recipe, MemoryStore(blobs), lambda done_s, all_s: progress(f"watching {video.name}", done_s, all_s),
            workers=order.workers or 1,
        )  # fmt: skip
    return Watched(kept, time.monotonic() - began)


def _check_fit(config: VideoXLConfig, viewing: Viewing, order: WatchOrder) -> None:
    plan = plan_tokens(config, len(viewing.instants), order.ratios)
    if not plan.fits and not order.beyond and order.look_back is None:
        raise WrongRequest(
            f"{plan.told()}; {plan.advice}; or --look-back N, so that a window sees only the N before it; --beyond watches as it is"
        )


def status(kept: Kept) -> str:
    return "degraded" if kept.lost or seen_share(kept.manifest) < 0.99 else "ok"


def seen_share(manifest: Manifest) -> float:
    """Of the pictures wanted, how many were seen."""
    if not manifest.duration_s:
        return 1.0
    wanted = Sampling.parse(manifest.recipe.sampling).frames_in(manifest.duration_s)
    return min(1.0, len(manifest.times_s) / max(1, wanted))


def coverage(manifest: Manifest) -> dict[str, float | None]:
    """Seconds seen of seconds in the file."""
    duration_s = manifest.duration_s
    seen_s = manifest.covered_s if duration_s is None else seen_share(manifest) * duration_s
    return {"seen_s": round(seen_s, 3), "duration_s": duration_s}


def settings(recipe: Recipe) -> dict[str, Any]:
    told = recipe.to_json()
    return {name: value for name, value in told.items() if name not in ("prompt_ids", "format_version")}


@dataclass(frozen=True, slots=True)
class AskOrder:
    """What is asked, and how the answer is made."""

    target: Path  # a memory's file, or a video
    questions: tuple[str, ...]
    begun: str = ""
    most_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    penalty: float = 1.0
    retrieve: int | None = None  # blocks of the memory that a question looks at; all of them where None, as published

    def generation(self) -> Generation:
        from model.language.generate import Generation

        return Generation(
            max_new_tokens=self.most_tokens, temperature=self.temperature, top_p=self.top_p, seed=self.seed, repetition_penalty=self.penalty
        )


@dataclass(slots=True)
class _Answer:
    """One answer as it grows."""

    question: str
    text: str = ""
    tokens: int = 0
    log_share: float = 0.0
    first_s: float = 0.0
    seconds: float = 0.0
    looked_at: list[dict[str, float]] = field(default_factory=list)  # half-open spans, where not the whole memory was looked at

    @property
    def sources(self) -> str:
        """A line on what was looked at, none where that is everything."""
        spans = ", ".join(f"{span['start_s']:.0f}-{span['end_s']:.0f}" for span in self.looked_at)
        return f"    looked at the seconds {spans}\n" if spans else ""

    def told(self) -> dict[str, Any]:
        return {
            "status": "ok" if self.text.strip() else "empty",
            "question": self.question,
            "answer": self.text,
            "mean_token_share": round(2.718281828 ** (self.log_share / max(1, self.tokens)), 4),
            "tokens": self.tokens,
            "looked_at": self.looked_at,
            "timings": {"first_token_s": round(self.first_s, 3), "answer_s": round(self.seconds, 3)},
        }


def ask(order: AskOrder, watch_order: WatchOrder, *, as_json: bool) -> None:
    """Answer from a memory's file, or from a video's memory, which is made first where there is none."""
    system, watched = _memory_of(order, watch_order)
    answers = _answered(system, watched, order, aloud=not as_json)
    if as_json:
        print_json({"answers": [answer.told() for answer in answers], "memory": watched.told()})
        return
    if status(watched.kept) == "degraded":
        _say(f"only {seen_share(watched.kept.manifest):.0%} of the video could be seen", "yellow")
    if not all(answer.text.strip() for answer in answers):
        _say("the model said nothing to at least one question", "yellow")


def _memory_of(order: AskOrder, watch_order: WatchOrder) -> tuple[OpenVideoXL, Watched]:
    system = _opened(watch_order, order.target)
    if not is_memory_file(order.target):
        return system, watched_film(order.target, watch_order, system)
    from model.systems.memory_file import load_memory

    memory, manifest = load_memory(order.target)
    if manifest.recipe.weights != system.weights:
        raise UnreadableMemory(
            f"{order.target} was made with other weights ({manifest.recipe.weights[:12]}) than {watch_order.choice.checkpoint} holds "
            f"({system.weights[:12]}); ask with the checkpoint that watched it, or watch the video again"
        )
    return system, Watched(Kept(memory, manifest, ()), 0.0, order.target)


def is_memory_file(path: Path) -> bool:
    return path.suffix == ".safetensors"


def _answered(system: OpenVideoXL, watched: Watched, order: AskOrder, *, aloud: bool) -> list[_Answer]:
    from model.systems.video_xl_folder import Question

    questions = [Question(text, begun=order.begun) for text in order.questions]
    answers = [_Answer(text, order.begun) for text in order.questions]
    began = time.monotonic()
    is_alone = aloud and len(answers) == 1
    for said in _asked(system, watched.kept, questions, order, answers):
        answer = answers[said.question]
        now = time.monotonic() - began
        answer.first_s = answer.first_s or now
        answer.text, answer.tokens, answer.log_share, answer.seconds = (
            answer.text + said.text, answer.tokens + 1, answer.log_share + said.log_share, now,
        )  # fmt: skip
        if is_alone:
            sys.stdout.write(printable(said.text))
            sys.stdout.flush()
        elif aloud and said.last:
            sys.stdout.write(f"{answer.question}\n    {printable(answer.text)}\n{answer.sources}")
    if is_alone:
        sys.stdout.write(f"\n{answers[0].sources}")
    return answers


def printable(text: str) -> str:
    """Without characters that a terminal would obey: a model's words are not to be trusted."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in text)


def _asked(system: OpenVideoXL, kept: Kept, questions: Sequence[Question], order: AskOrder, answers: Sequence[_Answer]) -> Iterator[Said]:
    memory = kept.memory
    if order.retrieve is None:
        return system.ask(memory, questions, order.generation())
    from model.language.retrieval import Retrieval, mean_keys, stretches

    chosen = system.choose(memory.sink, mean_keys(memory.blocks), questions, Retrieval(blocks=order.retrieve))
    for answer, numbers in zip(answers, chosen, strict=True):
        answer.looked_at = [asdict(kept.manifest.span(*tokens)) for tokens in stretches([memory.blocks[n] for n in numbers])]
    return system.ask_from(memory.sink, memory.blocks.__getitem__, chosen, questions, order.generation())


def _show_watched(watched: Watched, name: str) -> None:
    told = watched.told()
    seen, tokens = told["coverage"], told["summary_tokens"]
    how = f"watched in {watched.seconds:.1f} s" if watched.seconds else "was watched before"
    console = Console()
    console.print(f"{name}: {how}; {seen['seen_s']:.1f} of {seen['duration_s']:.1f} s seen in {told['frames']} frames", highlight=False)
    console.print(f"  {tokens:,} summary tokens, {size_told(told['size_bytes'])}; memory {told['key'][:16]}", highlight=False)
    if watched.path:
        manifest = watched.kept.manifest
        loss = (
            f", {manifest.bits} bits lost {manifest.key_loss:.2%} of keys, {manifest.value_loss:.2%} of values"
            if manifest.bits < 16
            else ""
        )
        console.print(f"  written to {watched.path} ({size_told(watched.path.stat().st_size)}{loss})", highlight=False, soft_wrap=True)
    for sentence in watched.kept.lost:
        _say(sentence, "yellow")


def _say(sentence: str, style: str) -> None:
    Console(stderr=True).print(f"longtake: {sentence}", style=style, highlight=False, markup=False, soft_wrap=True)
