"""Video-XL's language model and the whole system against values made with the authors' code."""

from __future__ import annotations

from tests.goldens.differences import Differences
from tests.goldens.folders import CaseFolder


def run_llm(case: CaseFolder, differences: Differences) -> None:
    """case: `.config`, `.notes`, `.inputs`, `.expected`, `.weights` (torch tensors by name)."""
    raise NotImplementedError


def run_end_to_end(case: CaseFolder, differences: Differences) -> None:
    raise NotImplementedError
