import pytest

pytest.importorskip("torch")

import torch

from model.compression.summary_tokens import Ratios, Window
from model.systems.video_xl import Memory, VideoXL
from tests.model.memories import PROMPT, film, same, tiny, watched

EIGHT = Ratios((8,))


def watched_looking_back(system: VideoXL, visual: torch.Tensor, look_back: int, known: Memory | None = None) -> Memory:
    watching = system.watch(PROMPT, EIGHT, known=known, look_back=look_back)
    watching.add(visual)
    return watching.finish()


def test_looking_back_over_the_whole_film_is_the_published_computation():
    system, visual = tiny(), film(53)

    assert same(watched_looking_back(system, visual, 9), watched(system, visual))


@pytest.mark.parametrize("look_back", [0, 1, 3])
def test_a_window_sees_the_prompt_and_the_windows_just_before_it_as_if_the_film_began_there(look_back: int):
    system, visual = tiny(look_back), film(60, seed=look_back)  # six windows of forty tokens

    found = watched_looking_back(system, visual, look_back)

    alone = system.condense(visual[200:], Window(200, 40, 8), system.opened(Memory(found.sink, found.blocks[5 - look_back : 5])))
    assert (found.blocks[5].keys - alone.keys).abs().max() < 1e-6
    assert (found.blocks[5].values - alone.values).abs().max() < 1e-6


def test_watching_goes_on_where_it_stopped_with_what_it_looks_back_at():
    system, visual = tiny(), film(60)

    half = watched_looking_back(system, visual[:120], 2)

    assert same(watched_looking_back(system, visual[120:], 2, known=half), watched_looking_back(system, visual, 2))


def test_looking_back_costs_the_same_however_long_the_film():
    system = tiny()
    watching = system.watch(PROMPT, EIGHT, look_back=2)
    rows = []
    for seed in range(12):
        watching.add(film(10, seed))
        rows.append(watching._buffer.length)

    assert rows == [len(PROMPT) + 5, *[len(PROMPT) + 10] * 11]
    assert watching.memory.rows == len(PROMPT) + 60


def test_nothing_lies_before_the_first_window():
    with pytest.raises(ValueError, match="looks back at 0 windows or more, got -1"):
        tiny().watch(PROMPT, EIGHT, look_back=-1)
