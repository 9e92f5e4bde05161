from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

import torch

from tests.model.memories import answers, film, tiny, watched


@pytest.fixture
def rows_not_written_hold_nan() -> Iterator[None]:
    torch.set_deterministic_debug_mode("error")  # with it, torch fills new memory with NaN
    yield
    torch.set_deterministic_debug_mode("default")


def test_a_short_question_beside_a_long_one_never_reads_rows_that_nobody_wrote(rows_not_written_hold_nan: None):
    system = tiny()
    memory = watched(system, film(53))
    texts = [(7, 8, 9), (11,), (13, 14, 15, 16, 17, 18, 19, 20)]

    assert answers(system, memory, texts) == [answers(system, memory, [text])[0] for text in texts]
