"""Golden cases on disk: which folders are cases, of which system, and what they hold. Computes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

EXPECTED = "expected.safetensors"
BUILT = ("videoxl", "efficientnet_lite0")
NOT_BUILT = ("longvlm", "grounded_videollm", "video_llama")


@dataclass(frozen=True)
class CaseFolder:
    """One case. system: of BUILT or NOT_BUILT, or "" where neither the folder's path nor what it holds tells."""

    path: Path
    system: str

    @property
    def name(self) -> str:
        return self.path.name if self.path.name == self.system else f"{self.system or 'unknown'}/{self.path.name}"

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json; empty where there is none. `notes` in it says which runs the case has."""
        file = self.path / "config.json"
        found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return found

    @property
    def notes(self) -> dict[str, Any]:
        found: dict[str, Any] = self.config.get("notes", {})
        return found

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        return self._tensors("inputs.safetensors")

    @cached_property
    def expected(self) -> dict[str, Tensor]:
        return self._tensors(EXPECTED)

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        return self._tensors("weights.safetensors")

    def _tensors(self, file: str) -> dict[str, Tensor]:
        path = self.path / file
        return load_file(path) if path.exists() else {}


def cases_under(folder: Path) -> list[CaseFolder]:
    """All cases at or below a folder, which may hold several systems' folders, be one system's, or be a single case."""
    return [CaseFolder(path, _system_of(path)) for path in sorted(_case_paths(folder.resolve()))]


def _case_paths(folder: Path) -> Iterator[Path]:
    """Folders with expected values, and those below a system's own folder that have none, which is told as their failure."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.name.startswith((".", "_")))]
    for path in folders:
        is_beside_cases = path.parent.name in BUILT and any(path.iterdir())
        if (path / EXPECTED).exists() or is_beside_cases:
            yield path


def _system_of(path: Path) -> str:
    """The nearest folder's name that is a system's; else what its tensors' names tell."""
    named = [name for name in reversed(path.parts) if name in BUILT + NOT_BUILT]
    if named:
        return named[0]
    expected = set(CaseFolder(path, "").expected)
    from tests.goldens.kinds import kinds_of  # which knows this module

    return next((system for system in BUILT if kinds_of(CaseFolder(path, system))), "") if expected else ""
