"""`longtake doctor` says what is there, what is not, and what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services import doctor


def by_name(checks: list[doctor.Check]) -> dict[str, doctor.Check]:
    return {check.name: check for check in checks}


def test_everything_the_main_job_rests_on_is_sound(tmp_path: Path) -> None:
    checks = by_name(doctor.diagnose(tmp_path / "not" / "yet"))

    needed = ["Python", "PyAV", "libraries", "ONNX Runtime", "OpenCV", "inference", "speech activity", "store", "disk"]
    assert {name: checks[name].status for name in needed} == dict.fromkeys(needed, "ok")
    assert "CPUExecutionProvider" in checks["inference"].found
    assert checks["store"].found == f"{tmp_path / 'not' / 'yet'} (will be made)"


def test_two_distributions_that_own_one_module_are_told_apart_and_one_is_to_go() -> None:
    check = doctor.check_only_one("tests", ("pytest", "numpy", "nobody-has-this"))

    assert check.status == "broken"
    assert check.found.startswith("pytest ") and " and numpy " in check.found
    assert "pip uninstall numpy, then pip install --force-reinstall pytest" in check.advice


def test_a_missing_one_comes_with_the_command_that_brings_it() -> None:
    assert doctor.check_only_one("x", ("nobody-has-this",)) == doctor.Check("x", "broken", "not installed", "pip install nobody-has-this")


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")

    check = doctor.check_store_writable(tmp_path / "store")

    assert check.status == "broken"
    assert check.found == f"{tmp_path / 'store'} cannot be written: Not a directory"


def test_an_extra_that_is_not_installed_is_missing_and_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "telepathy", (("json", "no_such_module"), "reading minds"))

    check = doctor.check_extra("telepathy")

    assert (check.status, check.found) == ("missing", "no no_such_module")
    assert "make setup" in check.advice


def test_a_library_that_breaks_on_import_is_reported_and_the_rest_still_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # what Python keeps for a module that must not be found

    checks = by_name(doctor.diagnose(tmp_path))

    assert checks["inference"].status == "broken"
    assert "make setup" in checks["inference"].advice
    assert checks["store"].status == "ok"


@pytest.mark.parametrize("library", ["av", "sqlalchemy"])
def test_the_command_answers_where_a_library_of_the_main_job_is_broken(tmp_path: Path, library: str) -> None:
    program = (
        f"import sys\nsys.modules[{library!r}] = None\nsys.argv = ['longtake', 'doctor', '--json', '--store', {str(tmp_path)!r}]\n"
        "from services.cli import main\nmain()\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    broken = [check["found"] for check in json.loads(done.stdout)["checks"] if check["status"] == "broken"]
    assert done.returncode == 4, done.stderr
    assert any(library in found for found in broken)
