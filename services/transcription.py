"""Speech to words by what the user names: the shipped engine, one of the user's own, or an OpenAI-compatible service."""

from __future__ import annotations

import io
import json
import math
import os
import uuid
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray

from model.registry import TRANSCRIBER
from model.shipped import WeightsMissing, locate
from model.transcribers import SHORTEST_S, EngineMissing, HeardWord, PocketSphinx, find_faster_whisper
from model.video import SOUND_RATE_HZ
from pipelines.interfaces import ServiceUnavailable, Transcriber, WrongRequest
from pipelines.watching import Senses

KEY_VARIABLE = "LONGTAKE_SPEECH_KEY"
PATH = "/audio/transcriptions"
DEFAULT_MODEL = "whisper-1"
PATIENCE_S = 300.0  # for 40 s of sound, on a service's slow day
LARGEST_ANSWER = 8 << 20


def open_transcriber(wanted: str, model: str = "") -> Transcriber:
    """wanted: "auto", "pocketsphinx", "faster-whisper" or a URL; model: the folder of a Whisper model, or the name a service knows.

    auto: faster-whisper where it is installed and `model` names its folder, else PocketSphinx. Raises WrongRequest, WeightsMissing.
    """
    folder = Path(model).expanduser() if model else None
    if urlsplit(wanted).scheme in ("http", "https"):
        return Service(endpoint(wanted), model or DEFAULT_MODEL, os.environ.get(KEY_VARIABLE, ""))
    if wanted == "pocketsphinx" or (wanted == "auto" and folder is None):
        return open_pocketsphinx()
    if wanted in ("auto", "faster-whisper"):
        try:
            return find_faster_whisper(folder)
        except EngineMissing as error:
            raise WrongRequest(str(error)) from error
    raise WrongRequest(f"no speech engine is called {wanted!r}; there are auto, pocketsphinx, faster-whisper, or the URL of a service")


def with_ears(senses: Senses, wanted: str, model: str = "") -> Senses:
    """The senses with the wanted transcriber; with a sentence where its weights are missing, as they were where none is wanted."""
    if not wanted:
        return senses
    try:
        return replace(senses, transcriber=open_transcriber(wanted, model))
    except WeightsMissing as error:
        return replace(senses, missing=(*senses.missing, str(error)))


def open_pocketsphinx() -> PocketSphinx:
    """Raises WeightsMissing."""
    return PocketSphinx(locate(TRANSCRIBER).parent, f"{TRANSCRIBER.package} {TRANSCRIBER.version} en-us", TRANSCRIBER.digest)


def endpoint(url: str) -> str:
    """Where sound is posted: the URL itself, or the usual path below it. Raises WrongRequest for a URL that carries a password.

    >>> endpoint("http://localhost:8000"), endpoint("https://speech.example/openai/v1/")
    ('http://localhost:8000/v1/audio/transcriptions', 'https://speech.example/openai/v1/audio/transcriptions')
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise WrongRequest(f"keep keys out of the URL, it is shown in reports; put the service's key into {KEY_VARIABLE}")
    path = parts.path.rstrip("/")
    if not path.endswith(PATH):
        path = (path or "/v1") + PATH
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


@dataclass(frozen=True, slots=True)
class Service:
    """Satisfies `pipelines.interfaces.Transcriber`: POST of a WAV file, answered by OpenAI's verbose_json with times of words."""

    url: str
    model: str
    key: str = field(default="", repr=False)  # never shown, never part of a digest
    fenced: bool = False

    @property
    def engine(self) -> str:
        return f"{self.model} at {urlsplit(self.url).hostname}"

    @property
    def digest(self) -> str:
        return f"{self.url} {self.model}"

    def hear(self, sound: NDArray[np.float32]) -> list[HeardWord]:
        """sound: (n,) mono at 16 kHz in [-1, 1]. Raises ServiceUnavailable."""
        if len(sound) < SHORTEST_S * SOUND_RATE_HZ:
            return []
        body, boundary = _form(wav_file(sound), self.model)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return heard_words(_answer(Request(self.url, body, headers, method="POST")))


def _answer(request: Request) -> Mapping[str, Any]:
    host = urlsplit(request.full_url).netloc
    try:
        with urlopen(request, timeout=PATIENCE_S) as reply:  # http or https only: `open_transcriber` asks for them
            told = json.loads(reply.read(LARGEST_ANSWER))
    except HTTPError as error:
        hint = f"; put its key into {KEY_VARIABLE}" if error.code in (401, 403) else ""
        raise ServiceUnavailable(f"the speech service at {host} answered {error.code} {error.reason}{hint}") from error
    except (URLError, TimeoutError, OSError) as error:
        raise ServiceUnavailable(f"the speech service at {host} does not answer: {getattr(error, 'reason', error)}") from error
    except ValueError as error:
        raise ServiceUnavailable(f"the speech service at {host} did not answer in JSON") from error
    if not isinstance(told, dict):
        raise ServiceUnavailable(f"the speech service at {host} answered with something that is no transcript")
    return told


def heard_words(told: Mapping[str, Any]) -> list[HeardWord]:
    """The words of a verbose_json answer; a segment's text as one where the service times no words. Raises ServiceUnavailable."""
    try:
        segments = [(float(s["start"]), float(s["end"]), str(s["text"]).strip(), s.get("avg_logprob")) for s in told.get("segments") or ()]
        words = [(float(w["start"]), float(w["end"]), str(w["word"]).strip()) for w in told.get("words") or ()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ServiceUnavailable(f"the speech service's answer is no transcript of the agreed form: {error!r}") from error
    if not words and not segments and str(told.get("text") or "").strip():
        raise ServiceUnavailable("the speech service gives text without times; one is needed that answers verbose_json")
    if not words:
        return [HeardWord(a, b, text, likelihood(logp)) for a, b, text, logp in segments if text]
    return [HeardWord(a, b, word, _of_segment(a, segments)) for a, b, word in words if word]


def _of_segment(at_s: float, segments: list[tuple[float, float, str, Any]]) -> float | None:
    """How sure the service is of the segment that a word belongs to: it tells nothing of single words."""
    return next((likelihood(logp) for a, b, _, logp in segments if a <= at_s < b), None)


def likelihood(mean_log: object) -> float | None:
    """The probability behind a mean log probability, None where it is no finite number."""
    if not isinstance(mean_log, int | float) or not math.isfinite(mean_log):
        return None
    return math.exp(min(0.0, mean_log))


def wav_file(sound: NDArray[np.float32]) -> bytes:
    """(n,) mono at 16 kHz as a WAV file of 16 bits."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE_HZ)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def _form(wav: bytes, model: str) -> tuple[bytes, str]:
    """(multipart body, its boundary)."""
    boundary = uuid.uuid4().hex
    fields = [
        ("model", model),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    ]
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="sound.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    return b"".join([*parts, head.encode(), wav, f"\r\n--{boundary}--\r\n".encode()]), boundary
