"""The house rules: who may import whom, what an environment holds, what the command line costs before it does anything."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("model", "pipelines", "services")  # each may import those before it, never those after
SERVERS = {"alembic", "fastapi", "kafka", "minio", "psycopg", "ray", "starlette", "uvicorn"}
HEAVY = {"av", "cv2", "jsonschema", "numpy", "onnxruntime", "opentimelineio", "ray", "sqlalchemy", "torch"}
RIVALS = (
    {"opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"},
    {"onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"},
)


def modules(layer: str) -> list[Path]:
    return sorted((ROOT / layer).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(first part, whole name) of every import in a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; name the package, so that the direction can be read"
            assert node.module
            yield node.module.split(".")[0], node.module


def importers(layer: str, unwanted: set[str]) -> list[str]:
    return [f"{path.relative_to(ROOT)} imports {name}" for path in modules(layer) for first, name in imports(path) if first in unwanted]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, str]:
    """name -> version of every distribution in a lock."""
    lines = (ROOT / "deploy" / "locks" / f"{lock}.txt").read_text("utf-8").splitlines()
    return dict(line.split()[0].split("==") for line in lines if not line.startswith("#"))


# --- direction -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_from_services_to_pipelines_to_model_and_never_back(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1 :]) | {"tests", "benchmarks", "deploy"}

    assert importers(layer, above) == []


@pytest.mark.parametrize("layer", ["model", "pipelines"])
def test_no_server_library_is_imported_below_services(layer: str) -> None:
    assert importers(layer, SERVERS) == []


def test_pipelines_know_no_torch() -> None:
    assert importers("pipelines", {"torch", "transformers", "safetensors"}) == []


def test_the_ground_floor_needs_numpy_only() -> None:
    foreign = {first for first, _ in imports(ROOT / "model" / "video.py")} - sys.stdlib_module_names

    assert foreign == {"numpy"}


def test_the_core_imports_only_what_the_core_installs() -> None:
    owners = packages_distributions()
    core = set(locked("core"))
    foreign = {
        (path.relative_to(ROOT).as_posix(), first)
        for path in modules("pipelines")
        for first, _ in imports(path)
        if first not in sys.stdlib_module_names and first not in LAYERS
    }

    assert [(path, name) for path, name in sorted(foreign) if not core & {canonical(d) for d in owners.get(name, [])}] == []


def test_packages_run_nothing_when_they_are_imported() -> None:
    inits = [path for layer in LAYERS for path in modules(layer) if path.name == "__init__.py"]

    assert inits
    assert {path.relative_to(ROOT).as_posix(): path.read_text("utf-8").strip() for path in inits if path.read_text("utf-8").strip()} == {}


# --- environments ----------------------------------------------------------------------------------------------------------


def installed() -> dict[str, set[str]]:
    """Environment -> distributions in it: the one that runs this test, and the core's where it was made."""
    core = [str(path) for path in ROOT.glob(".venv-core/lib/python3.11/site-packages")]
    found = {"this environment": {canonical(d.metadata["Name"]) for d in distributions()}}
    return found | ({".venv-core": {canonical(d.metadata["Name"]) for d in distributions(path=core)}} if core else {})


@pytest.mark.parametrize("rivals", RIVALS, ids=["opencv", "onnxruntime"])
def test_no_two_distributions_of_one_module_are_installed(rivals: set[str]) -> None:
    environments = installed()

    assert {name: rivals & there for name, there in environments.items() if len(rivals & there) > 1} == {}
    assert len(rivals & environments["this environment"]) == 1


def test_opencv_is_the_headless_one_and_onnx_runtime_the_one_for_gpus() -> None:
    for there in installed().values():
        assert "opencv-python" not in there
        assert "onnxruntime" not in there or sys.platform == "darwin"


def test_the_core_environment_holds_no_torch() -> None:
    environments = installed()
    if ".venv-core" not in environments:
        pytest.skip("make demo has not made .venv-core here; the core's lock is tested either way")
    assert not {"torch", "scipy", "transformers", "triton"} & environments[".venv-core"]


# --- the command line ------------------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['longtake', '--help']\n"
        "from services.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('\\nloaded:', *sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "analyze" in done.stdout
    loaded = {name.split(".")[0] for name in done.stdout.split("loaded:")[1].split()}
    assert loaded & HEAVY == set()


def test_the_console_script_is_the_command_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["scripts"] == {"longtake": "services.cli:main"}
