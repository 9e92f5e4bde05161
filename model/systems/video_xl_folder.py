"""A Video-XL checkpoint's folder, opened: decoder, encoder and tokenizer together, ready to watch and to be asked in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from model.compression.summary_tokens import Ratios
from model.encoders.clip import ClipEncoder
from model.language.decoder import Decoder
from model.language.generate import Generation
from model.language.kv_memory import Block, KVBuffer
from model.language.prompts import GrowingText, Tokenizer, Turn, WrongPrompt, after_video, before_video, checked, open_tokenizer
from model.language.retrieval import Retrieval, choose_blocks
from model.systems.base import FeatureEncoder
from model.systems.loading import load_into, weights_digest
from model.systems.manifest import LOOK_BACK_AT_ALL, Recipe
from model.systems.video_xl import Memory, Token, VideoXL, Watching
from model.systems.video_xl_config import VideoXLConfig
from model.systems.video_xl_keys import rows

DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class DeviceUnavailable(Exception):
    """The machine has not what a setting names."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. earlier: what was asked and answered before; begun: how the answer must begin."""

    text: str
    earlier: tuple[Turn, ...] = ()
    begun: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of an answer. question: which of those asked together; text: may be empty while a letter is not whole yet."""

    question: int
    text: str
    log_share: float
    last: bool


@dataclass(frozen=True, slots=True, eq=False)
class OpenVideoXL:
    """weights: SHA-256 of the folder's configuration and weights; dtype: of the language model's computation, a name of DTYPES."""

    net: VideoXL
    encoder: FeatureEncoder
    tokenizer: Tokenizer
    weights: str
    dtype: str
    name: str = "video-xl"

    @property
    def config(self) -> VideoXLConfig:
        return self.net.config

    @property
    def tokens_per_frame(self) -> int:
        return self.encoder.tokens_per_frame

    @property
    def window(self) -> int:
        """Visual tokens folded together."""
        return self.config.summary.window

    @property
    def bits(self) -> int:
        """Of a number that is kept."""
        return DTYPES[self.dtype].itemsize * 8

    def recipe(self, video_id: str, sampling: str, preprocessing: str, ratios: Ratios, look_back: int | None = None) -> Recipe:
        """What a memory will be made of. look_back: windows that a window sees, all of them where None."""
        return Recipe(
            system=self.name,
            video_id=video_id,
            sampling=sampling,
            preprocessing=f"{preprocessing} {self.encoder.name}-{self.encoder.digest[:16]}",
            prompt_ids=tuple(self.tokenizer.encode(before_video())),
            ratios=str(ratios),
            weights=self.weights,
            dtype=self.dtype,
            look_back=LOOK_BACK_AT_ALL if look_back is None else f"{look_back} windows",
        )

    def encode(self, pictures: NDArray[Any]) -> Tensor:
        """(N, S, S, 3) uint8 to visual tokens, (N * K, D)."""
        return torch.as_tensor(self.encoder.encode(pictures)).flatten(0, 1)

    def watch(self, recipe: Recipe, *, frames: int | None = None, known: Memory | None = None) -> Watching:
        """Begin to watch, or go on with a memory of the same recipe. frames: of the whole film, where known."""
        tokens = None if frames is None else frames * self.encoder.tokens_per_frame
        back = None if recipe.look_back == LOOK_BACK_AT_ALL else int(recipe.look_back.split()[0])
        return self.net.watch(recipe.prompt_ids, Ratios.parse(recipe.ratios), visual_tokens=tokens, known=known, look_back=back)

    def ids(self, question: Question) -> list[int]:
        """Everything behind the video. Raises WrongPrompt."""
        earlier = (part for turn in question.earlier for part in (turn.question, turn.answer))
        for told in (question.text, *filter(str.strip, (question.begun, *earlier))):  # all but the question may be empty
            checked(told, self.tokenizer)
        ids = self.tokenizer.encode(after_video(question.text, question.earlier, question.begun))
        if len(ids) > (room := self.config.decoder.max_positions):
            raise WrongPrompt(f"the question takes {len(ids)} tokens, more than the {room} the model was made for; ask a shorter one")
        return ids

    def ask(self, memory: Memory | KVBuffer, questions: Sequence[Question], options: Generation | None = None) -> Iterator[Said]:
        """Answer all questions at once, piece by piece. Raises WrongPrompt before the first."""
        texts = [self.ids(question) for question in questions]
        return self._said(self.net.answer(memory, texts, options), len(texts))

    def choose(self, sink: Block, means_NPLGE: Tensor, questions: Sequence[Question], retrieval: Retrieval) -> list[tuple[int, ...]]:
        """The numbers of the blocks that answer each question best. Raises WrongPrompt."""
        return choose_blocks(self.net.decoder, sink, means_NPLGE, [self.ids(question) for question in questions], retrieval)

    def ask_from(
        self,
        sink: Block,
        fetch: Callable[[int], Block],
        chosen: Sequence[tuple[int, ...]],
        questions: Sequence[Question],
        options: Generation | None = None,
    ) -> Iterator[Said]:
        """Answer each from its chosen blocks alone. fetch: a block by its number. Raises WrongPrompt before the first piece."""
        texts = [self.ids(question) for question in questions]
        return self._said(self.net.answer_from(sink, fetch, chosen, texts, options), len(texts))

    def _said(self, tokens: Iterator[Token], questions: int) -> Iterator[Said]:
        growing = [GrowingText(self.tokenizer) for _ in range(questions)]
        for token in tokens:
            yield Said(token.question, growing[token.question].add(token.id, last=token.last), token.log_share, token.last)


def open_video_xl(
    folder: Path, cache: Path, *, device: str = "cpu", dtype: str = "float32", encoder: FeatureEncoder | None = None
) -> OpenVideoXL:
    """Load a checkpoint in its authors' format. cache: where digests of weight files are remembered; encoder: instead of the torch one.

    Raises UnreadableCheckpoint, UnsupportedConfig, TokenizerMissing, DeviceUnavailable.
    """
    config = VideoXLConfig.from_folder(folder)
    tokenizer = open_tokenizer(folder)
    place, weights = checked_device(device), weights_digest(folder, cache)
    with torch.device("meta"):
        parts: dict[str, torch.nn.Module] = {"decoder": Decoder(config.decoder)}
        if encoder is None:
            parts["encoder"] = ClipEncoder(config.vision, weights)
    whole = torch.nn.ModuleDict(parts)
    load_into(whole, folder, rows(config), DTYPES[dtype], place, parts)
    decoder = whole["decoder"].eval()
    assert isinstance(decoder, Decoder)
    return OpenVideoXL(VideoXL(config, decoder), encoder or whole["encoder"].eval(), tokenizer, weights, dtype)  # type: ignore[arg-type]


def checked_device(name: str) -> torch.device:
    """Raises DeviceUnavailable where this machine has not what the name says."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceUnavailable(f"torch {torch.__version__} cannot compute on {name} here ({reason}); cpu always works") from error
    return torch.device(name)
