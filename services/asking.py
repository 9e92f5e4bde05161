"""`longtake ask`: questions answered from a film's memory, which is made first where there is none."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.systems.manifest import UnreadableMemory
from pipelines.remembering import Kept
from services.looking import print_json
from services.watching import Watched, WatchOrder, is_memory_file, opened, printable, say, seen_share, status, watched_film

if TYPE_CHECKING:
    from model.language.generate import Generation
    from model.systems.video_xl_folder import OpenVideoXL, Question, Said


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
            "mean_token_share": round(math.exp(self.log_share / max(1, self.tokens)), 4),
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
        say(f"only {seen_share(watched.kept):.0%} of the video could be seen", "yellow")
    if not all(answer.text.strip() for answer in answers):
        say("the model said nothing to at least one question", "yellow")


def _memory_of(order: AskOrder, watch_order: WatchOrder) -> tuple[OpenVideoXL, Watched]:
    system = opened(watch_order, order.target)
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


def _asked(system: OpenVideoXL, kept: Kept, questions: Sequence[Question], order: AskOrder, answers: Sequence[_Answer]) -> Iterator[Said]:
    memory = kept.memory
    if order.retrieve is None:
        return system.ask(memory, questions, order.generation())
    from model.language.retrieval import Retrieval, mean_keys, stretches

    chosen = system.choose(memory.sink, mean_keys(memory.blocks), questions, Retrieval(blocks=order.retrieve))
    for answer, numbers in zip(answers, chosen, strict=True):
        answer.looked_at = [asdict(kept.manifest.span(*tokens)) for tokens in stretches([memory.blocks[n] for n in numbers])]
    return system.ask_from(memory.sink, memory.blocks.__getitem__, chosen, questions, order.generation())
