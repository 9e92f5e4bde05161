"""A rough transcript: where sound is cut, what becomes of an engine's words, and a service that answers as OpenAI's does."""

from __future__ import annotations

import io
import json
import threading
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from model.transcribers import FasterWhisper, HeardWord
from model.video import Sound, TimeSpan
from pipelines.decode_plan import DecodePlan
from pipelines.evaluation.broadcast_sound import make_voice, speak
from pipelines.interfaces import ServiceUnavailable, WrongRequest
from pipelines.segments import measure_video
from pipelines.series import Measured, Series, pack
from pipelines.stores.folder import FolderBlobs
from pipelines.texts import Word
from pipelines.transcribing import Talk, as_lines, pieces_of_speech, transcribe, words_of
from pipelines.watching import Senses
from pipelines.wording import Place, with_spoken
from services.transcription import KEY_VARIABLE, Service, heard_words, open_pocketsphinx, open_transcriber, with_ears

RATE = 16_000


@dataclass
class Office:
    """A transcription service on this machine: what it is to answer, and what it was sent."""

    url: str = ""
    status: int = 200
    answer: bytes = b"{}"
    got: list[dict[str, bytes]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@pytest.fixture
def office() -> Iterator[Office]:
    desk = Office()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
            desk.got.append(
                {str(part.get_param("name", header="content-disposition")): part.get_content() for part in message.iter_parts()}
            )
            desk.keys.append(self.headers.get("Authorization", ""))
            self.send_response(desk.status)
            self.end_headers()
            self.wfile.write(desk.answer)

        def log_message(self, *parts: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    desk.url = f"http://127.0.0.1:{server.server_port}"
    yield desk
    server.shutdown()
    server.server_close()


def babble(seconds: float) -> np.ndarray:
    """A made voice that says nothing, but sounds like speech."""
    rng = np.random.default_rng(2)
    wave = speak(rng, make_voice(rng, RATE), round(6 * RATE), RATE)[: round(seconds * RATE)]
    return np.asarray(0.5 * wave / np.abs(wave).max(), np.float32)


def sound_film(path: Path, samples: np.ndarray) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return path


def measured_with(folder: Path, level: np.ndarray, speech: np.ndarray) -> Measured:
    """level: dB, ten a second; speech: probabilities, one every 3 s."""
    blobs = FolderBlobs(folder)
    series = {
        "sound.level": Series(0.05 + np.arange(len(level)) / 10, level),
        "sound.speech": Series(1.5 + 3.0 * np.arange(len(speech)), speech),
    }
    blobs.put("film/000000.npz", pack(series))
    return Measured(blobs, "film", len(level) / 10)


# --- pieces and lines -------------------------------------------------------------------------------------------------------


def test_sound_is_cut_at_its_pauses_and_only_speech_is_heard(tmp_path: Path) -> None:
    level = np.full(1200, -20.0, np.float32)
    level[300:306] = -70  # a pause at 30 s
    speech = np.concatenate([np.full(10, 0.9), np.zeros(30)]).astype(np.float32)  # nobody speaks behind it

    pieces = pieces_of_speech(measured_with(tmp_path, level, speech))

    assert (pieces[0].start_s, pieces[0].end_s) == (0, pytest.approx(30.25, abs=0.11))
    assert pieces[-1].end_s < 75


def test_a_film_without_sound_has_no_pieces(tmp_path: Path) -> None:
    assert pieces_of_speech(Measured(FolderBlobs(tmp_path), "film", 60.0)) == []


def test_words_become_lines_until_a_pause() -> None:
    words = [Word(TimeSpan(t, t + 0.3), text, c) for t, text, c in ((1.0, "good", 0.9), (1.4, "evening", 0.7), (3.0, "the", None))]

    first, second = as_lines(words, "engine 1")

    assert (first.text, first.span, first.confidence, first.engine) == ("good evening", TimeSpan(1.0, 1.7), pytest.approx(0.8), "engine 1")
    assert (second.text, second.confidence) == ("the", 1.0)
    assert second.words == (words[2],)


def test_words_stay_inside_the_stretch_they_were_heard_in() -> None:
    class Boastful:
        engine, digest, fenced = "boast", "1", False

        def hear(self, sound: np.ndarray) -> list[HeardWord]:
            return [HeardWord(-5.0, 1e9, " hello ", 0.5)]

    (word,) = words_of(Sound(babble(2.0), 10.0), Boastful())

    assert word.text == "hello"
    assert 10.0 <= word.span.start_s < word.span.end_s <= 12.0


# --- engines ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 0.00625, 0.1])
def test_pocketsphinx_hears_no_word_in_next_to_nothing(seconds: float) -> None:
    assert open_pocketsphinx().hear(np.zeros(round(seconds * RATE), np.float32)) == []


def test_a_film_is_transcribed_in_workers_and_kept(tmp_path: Path) -> None:
    path, blobs = sound_film(tmp_path / "talk.mka", babble(5.0)), FolderBlobs(tmp_path / "blobs")
    measured = measure_video(path, blobs, "series", DecodePlan(eyes=None), workers=1)
    ears = open_pocketsphinx()

    lines = transcribe(Talk(path, measured, 1), ears, blobs, "spoken/a")

    assert list(blobs.keys("spoken/a/")) == ["spoken/a/0000000000.json"]
    assert all(line.engine == "pocketsphinx 5.1.1 en-us" and 0 <= line.span.start_s < line.span.end_s <= 5.01 for line in lines)
    assert transcribe(Talk(tmp_path / "gone.mka", measured, 1), ears, blobs, "spoken/a") == lines


def test_a_sound_of_a_tenth_of_a_second_is_no_trouble(tmp_path: Path) -> None:
    path, blobs = sound_film(tmp_path / "click.mka", babble(0.1)), FolderBlobs(tmp_path / "blobs")
    measured = measure_video(path, blobs, "series", DecodePlan(eyes=None), workers=1)

    assert transcribe(Talk(path, measured, 1), open_pocketsphinx(), blobs, "spoken/a") == ()


def test_faster_whisper_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(WrongRequest, match="pip install faster-whisper"):
        open_transcriber("faster-whisper", str(tmp_path))
    assert FasterWhisper(tmp_path, "faster-whisper", "1").hear(np.zeros(10, np.float32)) == []


def test_engines_have_names(tmp_path: Path) -> None:
    with pytest.raises(WrongRequest, match="auto, pocketsphinx"):
        open_transcriber("siri")
    assert open_transcriber("auto").engine.startswith("pocketsphinx")
    assert with_ears(Senses(), "") == Senses()


# --- a service --------------------------------------------------------------------------------------------------------------


def test_a_service_gets_a_wav_file_and_gives_words_with_times(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.answer = json.dumps(
        {
            "text": "Hello there.",
            "segments": [{"start": 0.0, "end": 1.0, "text": " Hello there.", "avg_logprob": -0.105}],
            "words": [{"word": "Hello", "start": 0.1, "end": 0.4}, {"word": "there.", "start": 0.5, "end": 0.9}],
        }
    ).encode()
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    ears = open_transcriber(office.url, "whisper-large")

    words = ears.hear(np.full(RATE, 0.5, np.float32))

    assert [(w.start_s, w.end_s, w.text, round(w.confidence or 0, 2)) for w in words] == [
        (0.1, 0.4, "Hello", 0.9),
        (0.5, 0.9, "there.", 0.9),
    ]
    assert office.keys == ["Bearer secret"]
    assert (office.got[0]["model"].strip(), office.got[0]["response_format"].strip()) == ("whisper-large", "verbose_json")
    with wave.open(io.BytesIO(office.got[0]["file"])) as sent:
        assert (sent.getframerate(), sent.getnchannels(), sent.getnframes()) == (RATE, 1, RATE)
    assert "secret" not in repr(ears) + ears.engine + ears.digest


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (401, b"", KEY_VARIABLE),
        (500, b"", "500"),
        (200, b"<html>", "JSON"),
        (200, b"[]", "no transcript"),
        (200, b'{"text": "hi"}', "without times"),
        (200, b'{"words": [{"word": "x"}]}', "agreed form"),
    ],
)
def test_a_service_that_fails_is_told_in_a_sentence(office: Office, status: int, answer: bytes, told: str) -> None:
    office.status, office.answer = status, answer

    with pytest.raises(ServiceUnavailable, match=told):
        open_transcriber(office.url).hear(np.zeros(RATE, np.float32))


def test_a_service_that_is_away_costs_the_transcript_and_nothing_else(tmp_path: Path) -> None:
    path, blobs = sound_film(tmp_path / "talk.mka", babble(5.0)), FolderBlobs(tmp_path / "blobs")
    measured = measure_video(path, blobs, "series", DecodePlan(eyes=None), workers=1)
    away = Service("http://127.0.0.1:9/v1/audio/transcriptions", "whisper-1")

    told = with_spoken(Talk(path, measured), Place("id", "plan", blobs), away, lambda done, total: None)

    assert told.spoken == ()
    assert len(told.lost) == 1 and "whisper-1 at 127.0.0.1" in told.lost[0] and "does not answer" in told.lost[0]


def test_segments_stand_for_words_where_a_service_times_none() -> None:
    (word,) = heard_words({"segments": [{"start": 0, "end": 2, "text": "Good evening", "avg_logprob": None}]})

    assert word == HeardWord(0.0, 2.0, "Good evening", None)


def test_a_key_in_the_url_is_refused() -> None:
    with pytest.raises(WrongRequest, match=KEY_VARIABLE):
        open_transcriber("https://user:key@speech.example/v1")
