"""The words around a video, and their tokens: ChatML as Video-XL was trained with (its conversation template `qwen_1_5`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SYSTEM = "You are a helpful assistant."
START, END = "<|im_start|>", "<|im_end|>"


class WrongPrompt(ValueError):
    """The text cannot be put around a video."""


class TokenizerMissing(Exception):
    """A folder holds no tokenizer. The sentence says which files are wanted."""


class Tokenizer(Protocol):
    @property
    def special(self) -> frozenset[str]:
        """Texts that are one token with a meaning to the model."""
        ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str:
        """Without special tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    question: str
    answer: str


def before_video(system: str = SYSTEM) -> str:
    """All text before the video. Every memory begins with it, so another text is another memory."""
    return f"{START}system\n{system}{END}\n{START}user\n"


def after_video(question: str, earlier: Sequence[Turn] = (), begun: str = "") -> str:
    """All text behind the video. earlier: what was asked and answered before; begun: how the answer must begin.

    >>> after_video("Who?")
    '\\nWho?<|im_end|>\\n<|im_start|>assistant\\n'
    """
    questions = [*(turn.question for turn in earlier), question]
    answers = [*(turn.answer for turn in earlier), begun]
    told = [f"{q}{END}\n{START}assistant\n{a}" for q, a in zip(questions, answers, strict=True)]
    return "\n" + f"{END}\n{START}user\n".join(told)


def checked(text: str, tokenizer: Tokenizer) -> str:
    """The text, or WrongPrompt where it holds what only a template may hold: somebody could speak as the assistant, or as the system."""
    if found := next((special for special in sorted(tokenizer.special) if special and special in text), None):
        raise WrongPrompt(f"a question cannot hold {found}, which has a meaning of its own to the model; write it differently")
    if not text.strip():
        raise WrongPrompt("the question is empty")
    return text


def open_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint's folder; nothing is fetched, no code of the folder runs. Raises TokenizerMissing."""
    if (folder / "tokenizer.json").is_file():
        return FileTokenizer(folder / "tokenizer.json")
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return _from_vocabulary(folder)
    raise TokenizerMissing(f"{folder} holds no tokenizer: neither tokenizer.json nor vocab.json with merges.txt")


class FileTokenizer:
    """A tokenizer.json, without the library it was written by."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as Files

        try:
            self._files = Files.from_file(str(path))
        except Exception as error:  # the library raises nothing more special
            raise TokenizerMissing(f"{path} is damaged or no tokenizer ({error})") from error
        self.special = frozenset(t.content for t in self._files.get_added_tokens_decoder().values() if t.special)

    def encode(self, text: str) -> list[int]:
        return list(self._files.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._files.decode(list(ids), skip_special_tokens=True))


def _from_vocabulary(folder: Path) -> Tokenizer:
    """vocab.json and merges.txt, the older form of the same, through the library that knows Qwen2's rules."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return _LibraryTokenizer(found)


class _LibraryTokenizer:
    def __init__(self, found: object) -> None:
        self._found = found
        self.special = frozenset(found.all_special_tokens)  # type: ignore[attr-defined]

    def encode(self, text: str) -> list[int]:
        return list(self._found.encode(text, add_special_tokens=False))  # type: ignore[attr-defined]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._found.decode(ids, skip_special_tokens=True))  # type: ignore[attr-defined]


class GrowingText:
    """Text of tokens that come one by one. Letters that are not whole yet (UTF-8 in pieces) are held back."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._told = 0  # characters given out

    def add(self, token: int, *, last: bool = False) -> str:
        """What this token adds to the text. The whole answer is decoded anew, since a token's text may depend on the one before."""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        if text.endswith("\ufffd") and not last:
            return ""
        new, self._told = text[self._told :], len(text)
        return new
