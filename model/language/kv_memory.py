"""Keys and values of everything read so far: the stored form, the form in use, and how windows, prompts and answers look back at them.

L = layers, G = key heads, N = rows kept, S = summary rows of a window, T = rows, B = questions asked together, E = width of a head.
Stored keys are not rotated; in use a key is rotated once, at its final position, which is its row number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.language.attention import Part, attend_all, attend_causal, attend_masked, join
from model.language.config import DecoderConfig
from model.language.rotary import Angles, Rotary


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What is kept of a window (or of the prompt before the video). keys, values: (L, G, S, E), keys not rotated.

    start, end: the visual tokens it stands for; 0, 0 for the prompt.
    """

    keys: Tensor
    values: Tensor
    start: int = 0
    end: int = 0

    def __len__(self) -> int:
        return self.keys.shape[2]

    @property
    def size_bytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes


class KVBuffer:
    """The form in use: keys rotated, values, (L, G, capacity, E), the first `length` rows filled. Grows by half when full."""

    def __init__(self, config: DecoderConfig, dtype: torch.dtype, device: torch.device, capacity: int) -> None:
        self.rotary = Rotary(config.head_dim, config.rope_theta)
        self._shape = (config.layers, config.kv_heads, config.head_dim)
        self.keys, self.values = (self._rows(capacity, dtype, device) for _ in range(2))
        self.length = 0

    def _rows(self, count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        layers, heads, width = self._shape
        return torch.empty(layers, heads, count, width, dtype=dtype, device=device)

    def make_room(self, rows: int) -> None:
        """For so many rows behind the filled ones."""
        capacity, wanted = self.keys.shape[2], self.length + rows
        if wanted <= capacity:
            return
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = self._rows(max(wanted, capacity + capacity // 2), old.dtype, old.device)
            new[:, :, : self.length] = old[:, :, : self.length]
            setattr(self, name, new)

    def append(self, block: Block) -> None:
        rows = len(block)
        self.make_room(rows)
        here = slice(self.length, self.length + rows)
        self.keys[:, :, here] = self.rotary.run(self.length, rows, self.keys).turn(block.keys.to(self.keys))
        self.values[:, :, here] = block.values.to(self.values)
        self.length += rows

    def refill(self, blocks: Iterable[Block]) -> None:
        """Forget what was there and hold these, from the first row on."""
        self.length = 0
        for block in blocks:
            self.append(block)

    def filled(self, layer: int, more: int = 0) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, (G, N + more, E)."""
        rows = self.length + more
        return self.keys[layer, :, :rows], self.values[layer, :, :rows]


class PromptContext:
    """For the prompt before the video: every row is kept, nothing came before."""

    def __init__(self) -> None:
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []

    def attend(self, layer: int, q_HTE: Tensor, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> Tensor:
        self.keep(layer, k_GTE, v_GTE, angles)
        return attend_causal(angles.turn(q_HTE), angles.turn(k_GTE), v_GTE).out

    def keep(self, layer: int, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> None:
        self._keys.append(k_GTE)
        self._values.append(v_GTE)

    def block(self) -> Block:
        return Block(torch.stack(self._keys), torch.stack(self._values))


class WindowContext:
    """For a window: it sees the memory and itself, and leaves its summary rows behind."""

    def __init__(self, memory: KVBuffer, summaries_S: Tensor, stairs_ST: Tensor) -> None:
        """stairs_ST: which rows of the window each summary row sees."""
        self.memory, self.summaries, self.stairs = memory, summaries_S, stairs_ST
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []

    def attend(self, layer: int, q_HTE: Tensor, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> Tensor:
        self._keys.append(k_GTE[:, self.summaries])
        self._values.append(v_GTE[:, self.summaries])
        earlier, rows = self.memory.length, k_GTE.shape[1]
        keys, values = self.memory.filled(layer, rows)
        keys[:, earlier:], values[:, earlier:] = angles.turn(k_GTE), v_GTE
        if q_HTE.shape[1] == rows:
            return attend_causal(angles.turn(q_HTE), keys, values).out
        q_HTE = angles.at(self.summaries).turn(q_HTE)
        own = attend_masked(q_HTE, keys[:, earlier:], values[:, earlier:], self.stairs)
        return join(attend_all(q_HTE, keys[:, :earlier], values[:, :earlier]), own).out if earlier else own.out

    def keep(self, layer: int, k_GSE: Tensor, v_GSE: Tensor, angles: Angles) -> None:
        self._keys.append(k_GSE)
        self._values.append(v_GSE)

    def block(self, start: int, end: int) -> Block:
        return Block(torch.stack(self._keys), torch.stack(self._values), start, end)


class Tails:
    """What B questions have said and answered behind one shared memory: keys rotated, values, (L, B, G, capacity, E)."""

    def __init__(self, memory: KVBuffer, questions: int, capacity: int) -> None:
        layers, heads, _, width = memory.keys.shape
        self.memory = memory
        # Zeros, as a row that a question does not see still counts 0 times, which of fresh memory may be NaN.
        self.keys, self.values = (memory.keys.new_zeros(layers, questions, heads, capacity, width) for _ in range(2))
        self.lengths = [0] * questions

    def positions(self) -> list[int]:
        """Where the next row of each question stands."""
        return [self.memory.length + length for length in self.lengths]

    def only(self, questions: Sequence[int]) -> None:
        """Forget the others."""
        index = torch.tensor(questions, device=self.keys.device)
        self.keys, self.values = self.keys[:, index], self.values[:, index]
        self.lengths = [self.lengths[q] for q in questions]


class TextContext:
    """For a stretch of one question's text: it sees the memory, what this question had before, and itself."""

    def __init__(self, tails: Tails, question: int) -> None:
        self.tails, self.question = tails, question

    def attend(self, layer: int, q_HTE: Tensor, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> Tensor:
        self.keep(layer, k_GTE, v_GTE, angles)
        here = self.tails.lengths[self.question] + k_GTE.shape[1]
        keys, values = self.tails.keys[layer, self.question, :, :here], self.tails.values[layer, self.question, :, :here]
        q_HTE = Angles(angles.cos[-q_HTE.shape[1] :], angles.sin[-q_HTE.shape[1] :]).turn(q_HTE)
        return _with_memory(self.tails.memory, layer, q_HTE, attend_causal(q_HTE, keys, values)).out

    def keep(self, layer: int, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> None:
        earlier = self.tails.lengths[self.question]
        here = slice(earlier, earlier + k_GTE.shape[1])
        self.tails.keys[layer, self.question, :, here] = angles.turn(k_GTE)
        self.tails.values[layer, self.question, :, here] = v_GTE


class StepContext:
    """For the next token of every question: row b belongs to question b. The shared memory is read once for all."""

    def __init__(self, tails: Tails) -> None:
        self.tails = tails
        lengths = torch.tensor(tails.lengths, device=tails.keys.device)
        self._longest = max(tails.lengths) + 1
        self._rows = torch.arange(len(tails.lengths), device=tails.keys.device), lengths
        self._seen = (torch.arange(self._longest, device=lengths.device) <= lengths[:, None])[:, None]  # (B, 1, longest)

    def attend(self, layer: int, q_HTE: Tensor, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> Tensor:
        questions, places = self._rows
        keys, values = self.tails.keys[layer], self.tails.values[layer]
        keys[questions, :, places] = angles.turn(k_GTE).transpose(0, 1)
        values[questions, :, places] = v_GTE.transpose(0, 1)
        q_HTE = angles.turn(q_HTE)
        own = attend_masked(q_HTE.transpose(0, 1)[:, :, None], keys[:, :, : self._longest], values[:, :, : self._longest], self._seen)
        own = Part(own.out[:, :, 0].transpose(0, 1), own.lse[:, :, 0].transpose(0, 1))
        return _with_memory(self.tails.memory, layer, q_HTE, own).out

    def keep(self, layer: int, k_GTE: Tensor, v_GTE: Tensor, angles: Angles) -> None:
        raise AssertionError("the next token's attention is wanted in every layer")


def _with_memory(memory: KVBuffer, layer: int, q_HTE: Tensor, own: Part) -> Part:
    return join(attend_all(q_HTE, *memory.filled(layer)), own) if memory.length else own
