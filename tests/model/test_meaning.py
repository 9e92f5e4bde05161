"""Texts that mean alike lie near each other, and nothing is asked of a network or done to the program's logging."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from model.meaning import WordLlamaMeaning
from model.registry import MEANING
from model.shipped import locate


@pytest.fixture(scope="module")
def meaning() -> WordLlamaMeaning:
    return WordLlamaMeaning(locate(MEANING))


def test_meaning_lies_near_meaning(meaning: WordLlamaMeaning) -> None:
    dog, puppy, market = meaning.embed(["dog on a skateboard", "puppy riding a board", "stock market fell"])

    assert float(dog @ puppy) == pytest.approx(0.49, abs=0.02)  # as measured when the package was chosen
    assert float(dog @ market) == pytest.approx(-0.03, abs=0.02)
    assert float(dog @ dog) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("text", ["", " ", "\x00", "狗", "?!", "a" * 100_000])
def test_any_text_has_a_finite_place(text: str, meaning: WordLlamaMeaning) -> None:
    found = meaning.embed([text, "dog"])

    assert found.shape == (2, 256)
    assert np.isfinite(found).all()


def test_the_programs_logging_stays_as_it_was() -> None:
    program = (
        "import logging\n"
        "from model.meaning import WordLlamaMeaning\nfrom model.registry import MEANING\nfrom model.shipped import locate\n"
        "WordLlamaMeaning(locate(MEANING)).embed(['dog'])\n"
        "print(logging.getLogger().handlers, logging.getLogger().level)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["[]", "30"]
