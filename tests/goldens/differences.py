"""What a golden case found: each expected tensor compared once, the largest difference remembered. Knows no system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-4  # what the makers of the vectors suggest for another float32 implementation; values are of order 1 to 20


@dataclass(slots=True)
class Differences:
    """Compares what was computed with what is expected, tensor by tensor. expected: the names that the case must see compared."""

    expected: frozenset[str]
    compared: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def compare(self, name: str, found: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
        """name: the tensor's in expected.safetensors. Whole numbers must be equal, others at most `tolerance` apart; shapes are equal."""
        found, expected = _tensor(found), _tensor(expected)
        assert found.shape == expected.shape, f"{name} has the shape {list(found.shape)}, expected {list(expected.shape)}"
        is_whole = not (found.is_floating_point() or expected.is_floating_point())
        apart = float((found.double() - expected.double()).abs().max()) if found.numel() else 0.0
        self.compared[name] = max(apart, self.compared.get(name, 0.0))
        limit = 0.0 if is_whole else tolerance
        assert apart <= limit, f"{name} differs by {apart:.3g}, allowed are {limit:g}"  # NaN is no less than anything

    def leave_out(self, name: str, why: str) -> None:
        """Says that a tensor is not compared on purpose; the closing lines tell it."""
        self.left_out[name] = why

    def finish(self) -> None:
        """Fails where an expected tensor was neither compared nor left out: a case must not pass because nobody looked."""
        forgotten = sorted(self.expected - set(self.compared) - set(self.left_out))
        assert not forgotten, f"nothing was compared with {', '.join(forgotten)}"

    def __str__(self) -> str:
        if not self.compared:
            return "nothing compared"
        worst = max(self.compared, key=lambda name: self.compared[name])
        told = f"{len(self.compared)} tensors, largest difference {self.compared[worst]:.2g} ({worst})"
        return told + "".join(f"; {why}: {_listed(names)}" for why, names in self._reasons().items())

    def _reasons(self) -> dict[str, list[str]]:
        reasons: dict[str, list[str]] = {}
        for name, why in self.left_out.items():
            reasons.setdefault(why, []).append(name)
        return reasons


def _tensor(value: Any) -> Tensor:
    return value.detach().cpu() if isinstance(value, Tensor) else torch.as_tensor(value)


def _listed(names: Iterable[str]) -> str:
    first, *rest = names
    return f"{first} and {len(rest)} more" if rest else first
