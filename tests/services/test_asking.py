"""`longtake watch`, `ask` and `plan` as a person uses them, on a tiny system with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

pytest.importorskip("torch")

from pipelines import viewing
from services.cli import app
from services.watching import printable

Longtake = Callable[..., Result]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("systems") / "tiny"
    assert CliRunner().invoke(app, ["models", "tiny", str(folder)]).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def longtake(tiny: Path, store: Path) -> Longtake:
    def run(*words: object) -> Result:
        own = ["--checkpoint", str(tiny)] + (["--store", str(store)] if words[0] != "plan" else [])
        return CliRunner().invoke(app, [*map(str, words), *own])

    return run


@pytest.fixture
def closed(film: Callable[[str], Path]) -> Path:
    return film("closed.mp4")


def told(result: Result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_film_is_watched_once_and_asked_from_the_store_and_from_a_file(longtake: Longtake, closed: Path, tmp_path: Path) -> None:
    file = tmp_path / "film.safetensors"
    watched = told(longtake("watch", closed, "--fps", 10, "--memory", file, "--json"))
    from_store = told(longtake("ask", closed, "Who?", "--fps", 10, "--max-tokens", 8, "--json"))
    from_file = told(longtake("ask", file, "Who?", "What?", "--max-tokens", 8, "--json"))

    assert (watched["status"], watched["frames"], watched["coverage"]) == ("ok", 40, {"seen_s": 4.0, "duration_s": 4.0})
    assert watched["summary_tokens"] == 40 * 16 // 16
    assert watched["settings"]["sampling"] == "10 fps"
    assert from_store["memory"]["key"] == from_file["memory"]["key"] == watched["key"]
    assert from_store["answers"][0]["answer"] == from_file["answers"][0]["answer"]
    assert [a["question"] for a in from_file["answers"]] == ["Who?", "What?"]
    assert 0 < from_file["answers"][0]["tokens"] <= 8
    assert 0 < from_file["answers"][0]["mean_token_share"] <= 1


def test_another_setting_is_another_memory(longtake: Longtake, closed: Path) -> None:
    keys = {
        told(longtake("watch", closed, "--fps", 5, *options, "--json"))["key"]
        for options in ((), ("--ratio", "8"), ("--look-back", "1"), ("--ratio", "random:2,4,8"))
    }

    assert len(keys) == 4


def test_an_answer_says_which_seconds_it_looked_at_where_that_is_not_all(longtake: Longtake, closed: Path) -> None:
    whole, all_of_it, part = (
        told(longtake("ask", closed, "Who?", "Where is it?", "--fps", 10, "--max-tokens", 8, *options, "--json"))["answers"]
        for options in ((), ("--retrieve", 4), ("--retrieve", 1))
    )
    printed = longtake("ask", closed, "Who?", "--fps", 10, "--max-tokens", 4, "--retrieve", 1).stdout

    assert [answer["looked_at"] for answer in whole] == [[], []]
    assert [answer["answer"] for answer in all_of_it] == [answer["answer"] for answer in whole]
    assert [answer["looked_at"] for answer in all_of_it] == [[{"start_s": 0.0, "end_s": 4.0}]] * 2
    for answer in part:  # 40 frames of 16 tokens are four windows of 160: a second each
        (span,) = answer["looked_at"]
        assert span["start_s"] in (0.0, 1.0, 2.0, 3.0)
        assert span["end_s"] == span["start_s"] + 1
    (span,) = part[0]["looked_at"]
    assert printed.endswith(f"\n    looked at the seconds {span['start_s']:.0f}-{span['end_s']:.0f}\n")


def test_an_answer_is_printed_as_it_comes(longtake: Longtake, closed: Path) -> None:
    one = longtake("ask", closed, "Who?", "--frames", 10, "--max-tokens", 4)
    two = longtake("ask", closed, "Who?", "Where?", "--frames", 10, "--max-tokens", 4)

    assert one.exit_code == two.exit_code == 0
    assert one.stdout.endswith("\n")
    assert {line for line in two.stdout.splitlines() if line.startswith(("Who?", "Where?"))} == {"Who?", "Where?"}


def test_what_was_watched_so_far_can_be_asked(longtake: Longtake, closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by another process while `watch` is at it: two of four windows are there."""
    monkeypatch.setattr(viewing, "STRETCH", 20)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    none_yet = longtake("ask", closed, "Who?", "--fps", "9.9", "--so-far")
    with monkeypatch.context() as broken_off:
        broken_off.setattr("services.watching.progress_bars", lambda: nullcontext(stop))
        stopped = longtake("watch", closed, "--fps", "9.9")
    answered = told(longtake("ask", closed, "Who?", "--fps", "9.9", "--so-far", "--max-tokens", 3, "--json"))

    assert (none_yet.exit_code, stopped.exit_code) == (2, 130)
    assert "no window of closed.mp4 was watched yet" in none_yet.stderr
    assert (answered["memory"]["status"], answered["memory"]["frames"]) == ("degraded", 20)
    assert answered["memory"]["coverage"] == {"seen_s": 2.0, "duration_s": 4.0}
    assert told(longtake("watch", closed, "--fps", "9.9", "--json"))["status"] == "ok"


def test_few_bits_tell_what_they_lose(longtake: Longtake, closed: Path, tmp_path: Path) -> None:
    whole, few = tmp_path / "whole.safetensors", tmp_path / "few.safetensors"
    longtake("watch", closed, "--fps", 10, "--memory", whole)
    result = longtake("watch", closed, "--fps", 10, "--memory", few, "--bits", 4)

    assert "4 bits lost" in result.stdout
    assert few.stat().st_size < whole.stat().st_size
    assert longtake("ask", few, "Who?", "--max-tokens", 4).exit_code == 0


def test_a_plan_needs_no_film_and_names_what_fits(longtake: Longtake, closed: Path) -> None:
    release = CliRunner().invoke(app, ["plan", "--duration", "7200", "--json"])
    small = told(longtake("plan", closed, "--fps", 10, "--json"))

    plan = json.loads(release.stdout)["plan"]
    assert (plan["frames"], plan["fits"]) == (7200, False)
    assert "--ratio 16 --frames 3468 fits" in plan["advice"]
    assert (small["plan"]["visual_tokens"], small["plan"]["fits"]) == (640, True)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("watch", "FILM", "--fps", "1", "--frames", "3"), 2, "one of the two"),
        (("watch", "FILM", "--ratio", "x"), 2, "a ratio is a number"),
        (("watch", "FILM", "--memory", "a.bin"), 2, "ends in .safetensors"),
        (("watch", "FILM", "--bits", "5"), 2, "in 8 or 4 bits"),
        (("watch", "FILM", "--system", "gpt"), 2, "no system is called 'gpt'; there is video-xl"),
        (("watch", "FILM", "--device", "cuda:99"), 2, "cpu always works"),
        (("watch", "FILM", "--dtype", "int3"), 2, "not 'int3'"),
        (("watch", "FILM", "--encoder", "no.onnx"), 2, "longtake models export"),
        (("watch", "nowhere.mp4"), 3, "does not exist"),
        (("ask", "FILM", " "), 2, "the question is empty"),
        (("ask", "FILM", "a<|im_end|>b"), 2, "a question cannot hold <|im_end|>"),
        (("ask", "nowhere.safetensors", "Who?"), 3, "nowhere.safetensors"),
        (("plan",), 2, "give a VIDEO"),
        (("plan", "nowhere.mp4"), 3, "does not exist"),
        (("plan", "--duration", "inf"), 2, "the most there can be"),
        (("watch", "FILM", "--bits", "8"), 2, "--memory FILE"),
        (("watch", "FILM", "--memory", "nowhere/a.safetensors"), 2, "no folder nowhere"),
        (("watch", "FILM", "--ratio", "1000"), 2, "take a smaller --ratio"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    longtake: Longtake, closed: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    result = longtake(*(closed if word == "FILM" else word for word in words))

    assert result.exit_code == code, result.output
    assert sentence in " ".join(result.stderr.split()).replace("│ ", "")


def test_a_film_that_does_not_fit_is_refused_before_decoding_with_what_does(longtake: Longtake, closed: Path) -> None:
    result = longtake("watch", closed, "--frames", 300_000, "--ratio", 2)

    assert result.exit_code == 2
    assert "300000 frames make 4,800,000 visual tokens" in result.stderr
    assert "--ratio 16 --frames" in result.stderr


def test_a_memory_is_asked_with_the_weights_that_watched_it(longtake: Longtake, closed: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "film.safetensors", tmp_path / "other"
    longtake("watch", closed, "--frames", 10, "--memory", file)
    CliRunner().invoke(app, ["models", "tiny", str(other), "--seed", "1"])

    result = CliRunner().invoke(app, ["ask", str(file), "Who?", "--checkpoint", str(other)])

    assert result.exit_code == 3
    assert "was made with other weights" in result.stderr


def test_without_weights_it_says_where_they_come_from(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGTAKE_VIDEO_XL", raising=False)

    result = CliRunner().invoke(app, ["ask", str(closed), "Who?"])

    assert result.exit_code == 2
    assert "sy1998/Video_XL:VideoXL_weight_8" in result.stderr


def test_a_models_words_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[31mb\x07\n\tc\u202e") == "a\ufffd[31mb\ufffd\n\tc\ufffd"


def test_a_film_damaged_in_the_middle_is_never_told_as_whole(longtake: Longtake, closed: Path, tmp_path: Path) -> None:
    torn = bytearray(closed.read_bytes())
    torn[len(torn) // 3 : 2 * len(torn) // 3] = np.random.default_rng(0).bytes(2 * len(torn) // 3 - len(torn) // 3)
    film = tmp_path / "torn.mp4"
    film.write_bytes(torn)

    first, again = (told(longtake("watch", film, "--fps", 10, "--json")) for _ in range(2))

    assert first["status"] == again["status"] == "degraded"
    assert first["coverage"] == again["coverage"]
    assert 1 < first["coverage"]["seen_s"] < 3.5
    assert "are damaged" in first["lost"][0]
    assert again["lost"] == first["lost"]
    assert first["seconds"] > again["seconds"] == 0
