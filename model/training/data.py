"""Training examples: records with their pixels, tokens and labels, and the order in which they are learned. Decodes no video itself.

N = pictures, S = the encoder's side in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from model.language.prompts import Tokenizer
from model.preprocess import best_grid, crops, fit
from model.systems.video_xl_config import VideoXLConfig
from model.training.conversations import BadExample, Record, caption, chat
from model.training.forward import UNLABELLED
from model.training.stages import Stage

Pixels = NDArray[np.uint8]


class Films(Protocol):
    """Opens videos for training."""

    def __call__(self, path: Path, stage: Stage, size_px: int) -> Pixels:
        """(N, S, S, 3): the pictures that the stage looks at, fitted. Raises BadExample."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """pixels: (N, S, S, 3) uint8, N = 0 for a text alone; labels: of prompt, visual and text tokens; seed: of its windows' ratios."""

    pixels: Tensor
    prompt_ids: Tensor
    text_ids: Tensor
    labels: Tensor
    seed: int

    def to(self, device: torch.device) -> Example:
        pixels, prompt, text, labels = (part.to(device) for part in (self.pixels, self.prompt_ids, self.text_ids, self.labels))
        return Example(pixels, prompt, text, labels, self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a stage learns from. Each is opened when it is its turn."""

    records: Sequence[Record]
    stage: Stage
    config: VideoXLConfig
    tokenizer: Tokenizer
    media: Path
    films: Films

    def __len__(self) -> int:
        return len(self.records)

    def load(self, number: int, seed: int) -> Example:
        """Raises BadExample, which names the record and its file."""
        record = self.records[number]
        words = (caption if self.stage.captions else chat)(record, self.tokenizer)
        pixels = self._pixels(record)
        visual = len(pixels) * self.config.vision.tokens_per_frame
        self._check_room(record, len(words.prompt) + len(words.text), visual)
        labels = [*words.prompt_labels, *[UNLABELLED] * visual, *words.text_labels]
        prompt, text, wanted = (torch.tensor(part, dtype=torch.long) for part in (words.prompt, words.text, labels))
        return Example(torch.from_numpy(pixels), prompt, text, wanted, seed)

    def windows(self, number: int) -> int:
        """About how many windows an example has, from headers alone: what it costs. A video counts as if it were long enough."""
        record, vision = self.records[number], self.config.vision
        if record.kind == "image" and len(record.media) == 1:
            try:
                with Image.open(self.media / record.media[0]) as picture:
                    wide, high = best_grid(*picture.size, vision.grid_px)
            except (OSError, ValueError, Image.DecompressionBombError):
                return 0  # it will be told of when it is its turn
            pictures = wide * high // vision.image_px**2
        else:
            pictures = {"image": len(record.media), "video": self.stage.most_frames, "text": 0}[record.kind]
        return -(-pictures * vision.tokens_per_frame // self.config.summary.window)

    def _pixels(self, record: Record) -> Pixels:
        size_px = self.config.vision.image_px
        if record.kind == "video":
            return self.films(_existing(self.media, record), self.stage, size_px)
        pictures = [_picture(self.media, record, file) for file in record.media]
        try:
            if len(pictures) == 1:
                return crops(pictures[0], self.config.vision.grid_px, size_px)[1:]
            return np.stack([fit(picture, size_px) for picture in pictures]) if pictures else np.empty((0, size_px, size_px, 3), np.uint8)
        except ValueError as error:
            raise BadExample(f"{record.id}: {', '.join(record.media)} cannot be used: {error}") from error

    def _check_room(self, record: Record, words: int, visual: int) -> None:
        room, ratios = self.config.decoder.max_positions, self.stage.ratios
        tokens = words + visual // (min(ratios) if ratios else 1)
        if tokens > room:
            raise BadExample(f"{record.id} takes {tokens} tokens, more than the {room} the model was made for")


def _existing(media: Path, record: Record) -> Path:
    path = media / record.media[0]
    if not path.is_file():
        raise BadExample(f"{record.id}: {path} does not exist")
    return path


def _picture(media: Path, record: Record, file: str) -> Pixels:
    try:
        with Image.open(media / file) as picture:
            return np.asarray(picture.convert("RGB"))
    except FileNotFoundError as error:
        raise BadExample(f"{record.id}: {media / file} does not exist") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: of a broken PNG
        raise BadExample(f"{record.id}: {media / file} cannot be read as a picture ({error})") from error


@dataclass(frozen=True, slots=True)
class Order:
    """Which examples are read when: shuffled anew each epoch, the same every time for the same seed, so that a run can go on anywhere.

    group: examples that all processes read together. windows: of each example, where groups are to hold examples of equal cost, so
    that no process waits for another; within a group it is equal, but for what is left over.
    """

    count: int
    group: int = 1
    seed: int = 0
    windows: Sequence[int] | None = None
    _epochs: dict[int, list[list[int]]] = field(default_factory=dict)

    @property
    def groups_an_epoch(self) -> int:
        return -(-self.count // self.group)

    def at(self, place: int) -> list[int]:
        """The group number `place` of the whole run."""
        epoch, number = divmod(place, self.groups_an_epoch)
        if epoch not in self._epochs:
            self._epochs.clear()
            self._epochs[epoch] = self._shuffled(epoch)
        return self._epochs[epoch][number]

    def _shuffled(self, epoch: int) -> list[list[int]]:
        random = np.random.default_rng([self.seed, epoch])
        numbers = random.permutation(self.count)
        if self.windows is None:
            return self._cut(numbers.tolist())
        costs = np.asarray(self.windows)[numbers]
        groups, left = [], []
        for cost in np.unique(costs):
            same = numbers[costs == cost].tolist()
            whole = len(same) // self.group * self.group
            groups += self._cut(same[:whole])
            left += same[whole:]
        groups += self._cut(left)
        return [groups[k] for k in random.permutation(len(groups))]

    def _cut(self, numbers: list[int]) -> list[list[int]]:
        """The last group is filled up from the beginning: every process has something to read, and nothing is left out."""
        groups = [numbers[k : k + self.group] for k in range(0, len(numbers), self.group)]
        if groups:
            groups[-1] = (groups[-1] + numbers * self.group)[: self.group]
        return groups
