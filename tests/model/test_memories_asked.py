"""Asking changes nothing: any number of questions, in any order, together or alone, while watching goes on, before and after a restart."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from model.compression.summary_tokens import Ratios  # noqa: E402
from model.language.generate import Generation  # noqa: E402
from model.language.kv_memory import Tails  # noqa: E402
from model.systems.memory_file import load_memory, save_memory  # noqa: E402
from tests.model.memories import PROMPT, answers, copied, film, manifest_of, same, tiny, watched  # noqa: E402

DICE = random.Random(5)
QUESTIONS = [[DICE.randrange(96) for _ in range(DICE.randint(1, 30))] for _ in range(100)]
FIVE = Generation(max_new_tokens=5, stop_ids=frozenset(range(0, 96, 8)))  # so that some answers end before others


def test_what_a_question_shorter_than_its_neighbour_never_wrote_is_not_read(monkeypatch) -> None:
    system = tiny()
    memory = watched(system, film(30))
    alone = [answers(system, memory, [text])[0] for text in QUESTIONS[:6]]
    empty, poison = torch.Tensor.new_empty, float("nan")
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda self, *shape, **options: empty(self, *shape, **options).fill_(poison))

    assert answers(system, memory, QUESTIONS[:6]) == alone
    assert Tails(system.opened(memory), 2, 3).values.isfinite().all()


@pytest.fixture(scope="module")
def system():
    return tiny(3, layers=2)


@pytest.fixture(scope="module")
def tokens():
    return film(73, seed=3)


@pytest.fixture(scope="module")
def memory(system, tokens):
    return watched(system, tokens, "12")


@pytest.fixture(scope="module")
def alone(system, memory):
    """The answer to each question when nobody else asks."""
    return [answers(system, memory, [text], FIVE)[0] for text in QUESTIONS]


def shuffled(seed: int) -> list[int]:
    return random.Random(seed).sample(range(100), 100)


def test_answers_differ_and_some_end_early(alone) -> None:
    assert len({tuple(answer) for answer in alone}) > 50
    assert {1, 5} < {len(answer) for answer in alone}


@pytest.mark.parametrize("together", [7, 100])
def test_a_hundred_questions_in_any_order_get_the_answers_of_one_alone(together: int, system, memory, alone) -> None:
    before, order = copied(memory), shuffled(together)
    opened = system.opened(memory)
    keys, values = opened.keys.clone(), opened.values.clone()

    for start in range(0, 100, together):
        batch = order[start : start + together]
        assert answers(system, opened, [QUESTIONS[q] for q in batch], FIVE) == [alone[q] for q in batch]

    assert same(memory, before)
    assert torch.equal(opened.keys, keys) and torch.equal(opened.values, values) and opened.length == memory.rows


def test_several_threads_ask_one_open_memory(system, memory, alone) -> None:
    opened = system.opened(memory)
    keys = opened.keys.clone()
    batches = [shuffled(1)[start : start + 5] for start in range(0, 100, 5)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: answers(system, opened, [QUESTIONS[q] for q in batch], FIVE), batches))

    assert found == [[alone[q] for q in batch] for batch in batches]
    assert torch.equal(opened.keys, keys)


def test_answers_that_are_read_in_turns_do_not_meet(system, memory, alone) -> None:
    opened = system.opened(memory)
    streams = {q: system.answer(opened, [QUESTIONS[q]], FIVE) for q in range(20)}
    found: dict[int, list[int]] = {q: [] for q in streams}
    dice = random.Random(2)
    while streams:
        question = dice.choice(list(streams))
        if token := next(streams[question], None):
            found[question].append(token.id)
        else:
            del streams[question]

    assert list(found.values()) == alone[:20]


def test_drawing_with_a_seed_is_the_same_alone_and_together(system, memory) -> None:
    drawn = Generation(max_new_tokens=8, temperature=1.5, top_k=20, top_p=0.9, repetition_penalty=1.2, seed=4, stop_ids=frozenset())
    lonely = [answers(system, memory, [text], drawn)[0] for text in QUESTIONS[:12]]

    assert answers(system, memory, QUESTIONS[:12], drawn) == lonely


def test_asking_while_watching_disturbs_neither(system, tokens, memory) -> None:
    watching = system.watch(PROMPT, Ratios((12,)))
    stages: dict[int, list[list[int]]] = {}
    ended = threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        dice = random.Random(threading.get_ident())
        while not ended.is_set():
            now, question = watching.memory, dice.randrange(10)
            answer = answers(system, now, [QUESTIONS[question]], FIVE)[0]
            wanted = answers(system, now, QUESTIONS[:10], FIVE)[question]
            stages.setdefault(len(now.blocks), []).append(answer)
            if answer != wanted:
                wrong.append((len(now.blocks), question, answer, wanted))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for portion in tokens.split(20):
        watching.add(portion)
        seen = sum(map(len, stages.values()))
        while sum(map(len, stages.values())) == seen and not wrong:
            ended.wait(0.001)
    ended.set()
    for asker in askers:
        asker.join()

    assert same(watching.finish(), memory)
    assert not wrong and len(stages) > 5


def test_a_memory_answers_the_same_after_a_restart(system, memory, tokens, alone, tmp_path: Path) -> None:
    save_memory(tmp_path / "m", memory, manifest_of(tokens, "12"))

    back, _ = load_memory(tmp_path / "m")

    assert same(back, memory)
    assert answers(tiny(3, layers=2), back, QUESTIONS, FIVE) == alone
