"""From logits to the next token, and from tokens to text as it grows. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How an answer is made. The default is greedy and exact: what a checkpoint's generation_config.json suggests is not applied."""

    max_new_tokens: int = 1024
    temperature: float = 0.0  # 0: always the likeliest token
    top_k: int = 0  # 0: of all tokens
    top_p: float = 1.0
    repetition_penalty: float = 1.0  # over the question and the answer, never over visual tokens (Keskar et al. 2019)
    seed: int = 0
    stop_ids: frozenset[int] | None = None  # None: as the checkpoint says; empty: go on to max_new_tokens

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"an answer has 1 token or more, got max_new_tokens {self.max_new_tokens}")
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0 or self.repetition_penalty <= 0:
            raise ValueError(
                "temperature is 0 or more, top_p lies in (0, 1], top_k is 0 or more and repetition_penalty above 0, got "
                f"{self.temperature}, {self.top_p}, {self.top_k}, {self.repetition_penalty}"
            )


class Chooser:
    """Chooses one question's tokens. Its randomness is its own, so that questions asked together change nothing for each other."""

    def __init__(self, options: Generation, said: Sequence[int]) -> None:
        """said: ids of the question, over which the repetition penalty goes as well."""
        self.options = options
        self._said = set(said)
        self._random = torch.Generator().manual_seed(options.seed)

    def choose(self, logits: Tensor) -> tuple[int, float]:
        """(token, its log-probability before any shaping) from logits of (vocabulary,) float32."""
        chosen = int(self._pick(self._penalised(logits)))
        self._said.add(chosen)
        return chosen, float(logits.log_softmax(-1)[chosen])

    def _penalised(self, logits: Tensor) -> Tensor:
        if self.options.repetition_penalty == 1.0:
            return logits
        ids = torch.tensor(sorted(self._said), device=logits.device)
        told = logits[ids]
        penalty = self.options.repetition_penalty
        return logits.index_copy(0, ids, torch.where(told > 0, told / penalty, told * penalty))

    def _pick(self, logits: Tensor) -> Tensor:
        if self.options.temperature == 0:
            return logits.argmax(-1)
        # Less the greatest first: a temperature near 0 would make infinities of the scores, and no shares at all of those.
        shares = ((logits - logits.amax()) / self.options.temperature).softmax(-1).cpu()
        if self.options.top_k:
            shares = shares.masked_fill(shares < shares.topk(min(self.options.top_k, len(shares))).values[-1], 0.0)
        if self.options.top_p < 1:
            ranked, order = shares.sort(descending=True)
            before = ranked.cumsum(-1) - ranked  # the token that crosses the border stays
            shares = shares.index_fill(0, order[before >= self.options.top_p * shares.sum()], 0.0)
        return torch.multinomial(shares, 1, generator=self._random)
