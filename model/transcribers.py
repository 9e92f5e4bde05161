"""Speech to words with times, by engines that run here: PocketSphinx out of its package, faster-whisper where the user has it.

Knows a short mono sound, nothing of films.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.video import SOUND_RATE_HZ

SPHINX_FRAMES_HZ = 100
SHORTEST_S = 0.1  # less holds no word, and makes an engine stumble
_VARIANT = re.compile(r"\(\d+\)$")  # "the(2)": the dictionary's second way to say it
_NO_WORD = re.compile(r"^[<\[+].*")  # "<s>", "<sil>", "[NOISE]", "++UH++"


class EngineMissing(Exception):
    """An engine, or its weights, is not here. The sentence says what to do."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word. Times in seconds from the sound's beginning; confidence 0..1, None where the engine tells none."""

    start_s: float
    end_s: float
    text: str
    confidence: float | None


@dataclass(frozen=True, slots=True)
class PocketSphinx:
    """Satisfies `pipelines.interfaces.Transcriber`. US English, rough. folder: the package's `model/en-us`."""

    folder: Path
    engine: str
    digest: str
    fenced: bool = True  # C code of the nineties, fed with strangers' sound: it runs in a worker

    def hear(self, sound: NDArray[np.float32]) -> list[HeardWord]:
        """sound: (n,) mono at 16 kHz in [-1, 1]."""
        if len(sound) < SHORTEST_S * SOUND_RATE_HZ:
            return []
        decoder = _sphinx(self.folder)
        decoder.start_utt()
        decoder.process_raw((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        return [word for segment in decoder.seg() or () if (word := _sphinx_word(segment)) is not None]


def _sphinx_word(segment: Any) -> HeardWord | None:
    if _NO_WORD.match(segment.word):
        return None
    start_s, end_s = segment.start_frame / SPHINX_FRAMES_HZ, (segment.end_frame + 1) / SPHINX_FRAMES_HZ
    return HeardWord(start_s, end_s, _VARIANT.sub("", segment.word), min(1.0, max(0.0, float(segment.prob))))


@cache
def _sphinx(folder: Path) -> Any:
    from pocketsphinx import Decoder

    # Batch normalisation, so that what a sound says does not depend on what was heard before it.
    parts = {"hmm": folder / "en-us", "lm": folder / "en-us.lm.bin", "dict": folder / "cmudict-en-us.dict"}
    return Decoder(**{name: str(path) for name, path in parts.items()}, samprate=SOUND_RATE_HZ, cmn="batch", loglevel="FATAL")


@dataclass(frozen=True, slots=True)
class FasterWhisper:
    """Satisfies `pipelines.interfaces.Transcriber`. folder: a Whisper model for CTranslate2 (model.bin ...); nothing is fetched."""

    folder: Path
    engine: str
    digest: str
    fenced: bool = False  # takes more memory than a worker may

    def hear(self, sound: NDArray[np.float32]) -> list[HeardWord]:
        """sound: (n,) mono at 16 kHz in [-1, 1]."""
        if len(sound) < SHORTEST_S * SOUND_RATE_HZ:
            return []
        segments, _ = _whisper(self.folder).transcribe(sound, word_timestamps=True, beam_size=5)
        words = [word for segment in segments for word in segment.words or ()]
        return [HeardWord(float(w.start), float(w.end), w.word.strip(), float(w.probability)) for w in words if w.word.strip()]


@cache
def _whisper(folder: Path) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(folder), device="auto", compute_type="default", cpu_threads=os.cpu_count() or 1, local_files_only=True)


def find_faster_whisper(folder: Path | None) -> FasterWhisper:
    """The engine with the weights in `folder`. Raises EngineMissing."""
    if importlib.util.find_spec("faster_whisper") is None:
        raise EngineMissing("faster-whisper is not installed: pip install faster-whisper")
    if folder is None:
        raise EngineMissing("faster-whisper needs the folder of a model: --speech-model FOLDER (one that holds model.bin)")
    weights = folder / "model.bin"
    if not weights.is_file():
        raise EngineMissing(f"{folder} holds no model.bin; give the folder of a CTranslate2 Whisper model")
    engine = f"faster-whisper {version('faster-whisper')} {folder.name}"
    stat = weights.stat()
    return FasterWhisper(folder, engine, f"{engine} {stat.st_size}")
