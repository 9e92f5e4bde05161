"""Every golden case found under --goldens DIR comes out as its authors' code computes it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.goldens.differences import Differences
from tests.goldens.folders import BUILT, NOT_BUILT, CaseFolder
from tests.goldens.kinds import kinds_of


def test_the_case_comes_out_as_expected(case: CaseFolder, told: list[str]) -> None:
    if not case.system:
        pytest.fail(f"{case.path} belongs to no system that is known ({', '.join(BUILT + NOT_BUILT)}), by its path or by its tensors")
    if not (kinds := kinds_of(case)):
        pytest.fail(f"{case.path} asks for nothing that {case.system} can compute here; it expects {sorted(case.expected) or 'no tensor'}")
    differences = Differences(frozenset(case.expected))
    try:
        for run in kinds.values():
            run(case, differences)
        differences.finish()
    finally:
        told.append(f"{case.name} ({', '.join(kinds)}): {differences}")
