"""The locks are complete, hashed, name no host and no path, and hold one of everything."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from typing import Any

import pytest
from packaging.requirements import Requirement

from deploy import lock

LOCKS = ("core", "full")
LINE = re.compile(r"[a-z0-9-]+==[^\s;@/]+ --hash=sha256:[0-9a-f]{64}")


def lines(name: str) -> list[str]:
    return [line for line in (lock.LOCKS / f"{name}.txt").read_text("utf-8").splitlines() if not line.startswith("#")]


def pins(name: str) -> dict[str, str]:
    return dict(line.split()[0].split("==") for line in lines(name))


def requires_of(distribution: str) -> list[str]:
    """What an installed distribution asks for; nothing where only the core is installed and this is not part of it."""
    try:
        return metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        assert distribution not in pins("core")
        return []


def project() -> dict[str, Any]:
    return tomllib.loads((lock.ROOT / "pyproject.toml").read_text("utf-8"))


def alone() -> set[str]:
    """Distributions that are installed without what they ask for."""
    return {lock.canonical(Requirement(line).name) for line in project()["tool"]["longtake"]["alone"]}


def report_entry(name: str, url: str = "https://registry.example/x.whl") -> dict[str, Any]:
    """One entry of pip's installation report, as pip 23.2 writes it."""
    archive = {"hash": "sha256=" + "0" * 64, "hashes": {"sha256": "0" * 64}}
    return {"metadata": {"name": name, "version": "1.0"}, "download_info": {"url": url, "archive_info": archive}}


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_is_a_name_a_version_and_one_hash(name: str) -> None:
    assert [line for line in lines(name) if not LINE.fullmatch(line)] == []
    assert lines(name) == sorted(lines(name), key=lambda line: line.split("==")[0])
    assert len(pins(name)) == len(lines(name)) > 20


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host_no_path_and_no_option(name: str) -> None:
    text = (lock.LOCKS / f"{name}.txt").read_text("utf-8")

    assert re.findall(r"https?:|file:|@|^\s*-|--(?!hash=|require-hashes|no-deps)\S+|/(?!lock\.py)\S+", text, re.MULTILINE) == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_answers_everything_that_the_project_and_its_build_ask_for(name: str) -> None:
    asked = [Requirement(line) for line in lock.wanted(project(), lock.EXTRAS[name])]
    asked = [requirement for requirement in asked if requirement.marker is None or requirement.marker.evaluate({"sys_platform": "linux"})]

    assert [str(r) for r in asked if not r.specifier.contains(pins(name).get(lock.canonical(r.name), ""))] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_answers_everything_that_its_distributions_ask_for(name: str) -> None:
    held = pins(name)
    asked = [
        (distribution, requirement)
        for distribution in held.keys() - alone()
        for requirement in map(Requirement, requires_of(distribution))
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    answers = [(d, r, held.get(lock.REPLACED.get(lock.canonical(r.name), lock.canonical(r.name)), "")) for d, r in asked]

    assert [f"{d} asks for {r}" for d, r, version in answers if not r.specifier.contains(version, prereleases=True)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_what_is_installed_alone_is_in_every_lock(name: str) -> None:
    assert [line for line in project()["tool"]["longtake"]["alone"] if line not in [row.split()[0] for row in lines(name)]] == []


def test_the_core_is_part_of_the_full_install_in_the_same_versions() -> None:
    assert pins("core").items() <= pins("full").items()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_one_opencv_and_one_onnx_runtime(name: str) -> None:
    held = pins(name).keys()

    assert {n for n in held if n.startswith("opencv")} == {"opencv-python-headless"}
    assert {n for n in held if n.startswith("onnxruntime")} == {"onnxruntime-gpu"}


def test_the_core_is_light() -> None:
    heavy = {"torch", "triton", "transformers", "scipy", "ray", "kafka-python", "minio", "fastapi"}

    assert pins("core").keys() & heavy == set()
    assert {n for n in pins("core") if n.startswith("nvidia-")} == set()


def test_torch_and_pillow_are_those_that_the_parity_data_was_made_with() -> None:
    assert pins("full")["torch"].startswith("2.13.")
    assert int(pins("full")["pillow"].split(".")[0]) < 13


def test_settings_of_a_machine_do_not_reach_a_lock() -> None:
    machine = {
        "PATH": "/bin",
        "PIP_CERT": "/ca.pem",
        "PIP_FIND_LINKS": "/opt/wheels",
        "PIP_EXTRA_INDEX_URL": "https://other.example/simple",
        "PIP_CONSTRAINT": "mine.txt",
        "PIP_CONFIG_FILE": "/home/me/pip.conf",
    }

    kept = lock.pip_environment(machine)

    assert kept == {"PATH": "/bin", "PIP_CERT": "/ca.pem", "PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.mark.parametrize("url", ["file:///opt/wheels/x.whl", "http://10.0.0.1/x.whl"])
def test_a_wheel_that_others_do_not_have_is_refused(url: str) -> None:
    with pytest.raises(SystemExit, match="which others do not have"):
        lock.lock_lines([report_entry("x", url)])


def test_the_other_opencv_is_left_out_where_ours_stands_in() -> None:
    asked = [report_entry("opencv-python"), report_entry("OpenCV_Python.Headless"), report_entry("av")]

    assert [line.split()[0] for line in lock.lock_lines(asked)] == ["av==1.0", "opencv-python-headless==1.0"]


def test_the_other_opencv_alone_is_an_error_that_says_what_to_add() -> None:
    with pytest.raises(SystemExit, match="add onnxruntime-gpu to the same dependencies"):
        lock.lock_lines([report_entry("onnxruntime")])
