from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from model.language.decoder import Decoder
from model.language.kv_memory import Block, KVBuffer
from model.language.retrieval import Retrieval, choose_blocks, mean_keys, question_queries, scores, stretches
from model.systems.video_xl import Memory, VideoXL
from tests.model.memories import PROMPT, SIX, answers, film, tiny, watched

TEXTS = ((7, 8, 9), (11, 12), (13, 14, 15, 16, 17), (7, 8, 9))


def chosen_blocks(system: VideoXL, memory: Memory, texts=TEXTS, *, blocks: int) -> list[tuple[int, ...]]:
    return choose_blocks(system.decoder, memory.sink, mean_keys(memory.blocks), texts, Retrieval(blocks=blocks))


def retrieved(system: VideoXL, memory: Memory, chosen: list[tuple[int, ...]], texts=TEXTS) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in texts]
    for token in system.answer_from(memory.sink, memory.blocks.__getitem__, chosen, texts, SIX):
        found[token.question].append(token.id)
    return found


def assert_near(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    """As torch.testing does it, whose import alone takes seconds."""
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= tolerance


def part_of(memory: Memory, numbers: tuple[int, ...]) -> Memory:
    return Memory(memory.sink, tuple(memory.blocks[n] for n in numbers))


@pytest.mark.parametrize(("frames", "ratios", "kv_heads"), [(53, "8", 2), (40, "4", 1), (61, "4,8,2,10,8,4,8", 4)])
def test_with_room_for_every_block_the_answer_is_the_published_one(frames: int, ratios: str, kv_heads: int):
    system = tiny(frames, kv_heads=kv_heads)
    memory = watched(system, film(frames, seed=3), ratios)

    chosen = chosen_blocks(system, memory, blocks=len(memory.blocks))

    assert chosen == [tuple(range(len(memory.blocks)))] * len(TEXTS)
    assert retrieved(system, memory, chosen) == answers(system, memory, TEXTS)
    exact, ours = (system.text_logits(m, TEXTS[2]) for m in (memory, part_of(memory, chosen[2])))
    assert_near(ours, exact, 1e-5)


def test_chosen_blocks_stand_on_consecutive_places_as_if_nothing_had_lain_between():
    system = tiny()
    memory = watched(system, film(80))

    apart = system.opened(part_of(memory, (1, 4, 6)))

    keys = torch.cat([memory.sink.keys, *(memory.blocks[n].keys for n in (1, 4, 6))], 2)
    turned = system.decoder.rotary.run(0, len(PROMPT) + 15, keys).turn(keys)
    assert_near(apart.keys[:, :, : apart.length], turned, 1e-6)
    assert retrieved(system, memory, [(1, 4, 6)], TEXTS[:1]) == answers(system, part_of(memory, (1, 4, 6)), TEXTS[:1])


def test_questions_asked_together_each_look_at_blocks_of_their_own():
    system = tiny(1)
    memory = watched(system, film(200))
    chosen = chosen_blocks(system, memory, blocks=3)

    found = retrieved(system, memory, chosen)

    assert len(set(chosen)) == 3  # the first and the last question are the same
    assert found == [retrieved(system, memory, [own], [text])[0] for own, text in zip(chosen, TEXTS, strict=True)]


def test_a_block_is_fetched_by_its_number_and_no_other_is_touched():
    system = tiny()
    memory = watched(system, film(100))
    fetched: list[int] = []

    def fetch(number: int) -> Block:
        fetched.append(number)
        return memory.blocks[number]

    list(system.answer_from(memory.sink, fetch, [(2, 5)], TEXTS[:1], SIX))

    assert fetched == [2, 5]


@pytest.mark.parametrize("place", [0, 7, 19])
def test_a_block_whose_keys_answer_the_question_is_found_wherever_it_lies(place: int):
    system = tiny()
    memory = watched(system, film(200))
    sought = question_queries(system.decoder, memory.sink, TEXTS[0])[:, :, -1]  # (L, H, E)
    blocks = list(memory.blocks)
    keys = blocks[place].keys.clone()
    keys[:, :, -1] = sought.reshape(3, 2, 2, -1).sum(2)  # one row of five, for all heads of its group
    blocks[place] = replace(blocks[place], keys=keys)

    assert chosen_blocks(system, Memory(memory.sink, tuple(blocks)), TEXTS[:1], blocks=1) == [(place,)]


def test_among_equal_blocks_late_ones_are_not_preferred():
    system = tiny()
    memory = watched(system, film(10))
    same_again = Memory(memory.sink, memory.blocks * 24)

    assert chosen_blocks(system, same_again, blocks=4) == [(0, 1, 2, 3)] * len(TEXTS)


def test_among_nearly_equal_blocks_the_choice_is_spread_over_the_film():
    system = tiny()
    block = watched(system, film(10)).blocks[0]
    random = torch.Generator().manual_seed(0)
    blocks = tuple(replace(block, keys=block.keys + 0.01 * torch.randn(block.keys.shape, generator=random)) for _ in range(300))
    texts = [tuple(torch.randint(0, 90, (5,), generator=random).tolist()) for _ in range(40)]

    chosen = chosen_blocks(system, Memory(system.sink(PROMPT), blocks), texts, blocks=10)

    middle = torch.tensor(chosen).float().mean() / 299
    assert abs(float(middle) - 0.5) < 0.05  # 400 draws from 300 places: a deviation of 0.015


def test_a_row_that_every_block_answers_loudly_does_not_drown_the_one_that_seeks():
    means = torch.zeros(5, 1, 1, 1, 2)
    means[:, :, 0, 0, 0] = torch.tensor([30.0, 30.1, 30.0, 30.1, 30.0])[:, None]
    means[3, 0, 0, 0, 1] = 2.0
    queries = torch.eye(2).reshape(1, 1, 2, 2)  # the first row asks along the first axis, the second along the second

    assert int(scores(queries, means).argmax()) == 3


def test_scores_are_sums_over_layers_and_heads_of_the_best_part_less_the_mean_block():
    random = torch.Generator().manual_seed(5)
    queries, means = torch.randn(3, 4, 6, 8, generator=random), torch.randn(7, 2, 3, 2, 8, generator=random)

    each = torch.einsum("lhte,nplhe->nplht", queries, means.repeat_interleave(2, 3)).sum((2, 3)).amax(1)

    assert_near(scores(queries, means), (each - each.mean(0)).amax(1), 1e-4)


def test_parts_share_a_blocks_rows_evenly_and_few_rows_count_for_several():
    keys = torch.arange(6.0).reshape(1, 1, 6, 1)
    values = torch.zeros_like(keys)

    assert mean_keys([Block(keys, values)], 3).flatten().tolist() == [0.5, 2.5, 4.5]
    assert mean_keys([Block(keys, values)], 4).flatten().tolist() == [0.5, 1.5, 3.5, 4.5]
    assert mean_keys([Block(keys[:, :, :2], values)], 4).flatten().tolist() == [0, 0, 1, 1]
    assert mean_keys([Block(keys[:, :, :0], values)], 2).flatten().tolist() == [0, 0]


def test_queries_are_those_of_the_question_alone_and_not_rotated():
    system = tiny()
    memory = watched(system, film(10))

    found = question_queries(system.decoder, memory.sink, TEXTS[1])

    first = system.decoder.layers[0]
    x_TD = system.decoder.embed(torch.tensor(TEXTS[1]))
    assert found.shape == (3, 4, 2, 8)
    assert_near(found[0], first.project("q", first.input_norm(x_TD)), 1e-6)


def test_the_work_before_the_first_token_is_the_same_for_any_length(monkeypatch: pytest.MonkeyPatch):
    system = tiny()
    rows_read, rows_held = [], []
    read, append = Decoder.read, KVBuffer.append

    def counted_read(self: Decoder, x_TD: Tensor, *rest, **named) -> Tensor:
        rows_read.append(len(x_TD))
        return read(self, x_TD, *rest, **named)

    def counted_append(self: KVBuffer, block: Block) -> None:
        rows_held.append(len(block))
        append(self, block)

    def work(frames: int) -> tuple[list[int], list[int]]:
        memory = watched(system, film(frames))
        means = mean_keys(memory.blocks)
        with monkeypatch.context() as counting:
            counting.setattr(Decoder, "read", counted_read)
            counting.setattr(KVBuffer, "append", counted_append)
            rows_read.clear(), rows_held.clear()
            chosen = choose_blocks(system.decoder, memory.sink, means, TEXTS[:1], Retrieval(blocks=4))
            next(system.answer_from(memory.sink, memory.blocks.__getitem__, chosen, TEXTS[:1]))
        return list(rows_read), list(rows_held)

    short = work(40)

    assert short == ([3, 3], [5, 5, 5, 5, 5, 5])  # the question twice; the prompt twice and four blocks of five rows
    assert work(400) == work(2000) == short


def test_stretches_join_neighbours_in_time():
    memory = watched(tiny(), film(53))

    assert stretches([memory.blocks[n] for n in (0, 1, 4, 5)]) == [(0, 80), (160, 212)]


def test_a_memory_without_blocks_is_asked_as_it_is():
    system = tiny()
    memory = Memory(system.sink(PROMPT), ())

    chosen = chosen_blocks(system, memory, blocks=4)

    assert chosen == [()] * len(TEXTS)
    assert retrieved(system, memory, chosen) == answers(system, memory, TEXTS)


def test_a_question_looks_at_a_block_at_least():
    with pytest.raises(ValueError, match="looks at 1 block or more, got 0"):
        Retrieval(blocks=0)
