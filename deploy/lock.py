"""Writes the lock files: every distribution of an install with its version and hash, for Linux x86-64 and Python 3.11.

    python3.11 deploy/lock.py             # follow pyproject.toml, keep the versions that still fit
    python3.11 deploy/lock.py --upgrade   # the newest versions that pyproject.toml allows

Needs only pip 23 or newer; downloads metadata, installs nothing. The files name no host and no path, so they hold on any mirror:
`pip install --require-hashes --no-deps -r deploy/locks/core.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "deploy" / "locks"
EXTRAS = {"core": (), "full": ("models", "training", "services", "dev")}

# Distributions that own the same module as the one we install: theirs is asked for by others, ours answers.
REPLACED = {
    "opencv-python": "opencv-python-headless",
    "opencv-contrib-python": "opencv-python-headless",
    "opencv-contrib-python-headless": "opencv-python-headless",
    "onnxruntime": "onnxruntime-gpu",
}

# What a person may need to reach a registry at all. Everything else pip would read from the environment or from a
# configuration file (folders of wheels, extra indexes, constraints) could put something into a lock that nobody else has.
KEPT_PIP_SETTINGS = {"PIP_CERT", "PIP_CLIENT_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_INDEX_URL", "PIP_PROXY", "PIP_RETRIES", "PIP_TRUSTED_HOST"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write deploy/locks/*.txt from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed instead of keeping the locked ones")
    upgrade = parser.parse_args(arguments).upgrade
    if (sys.version_info[:2], sys.platform, platform.machine()) != ((3, 11), "linux", "x86_64"):
        sys.exit("The locks are for Linux x86-64 and Python 3.11, so they can only be made there.")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    pins = [] if upgrade else locked_pins(LOCKS / "full.txt")
    # The core takes the versions of the full install, so that a test run in one says something about the other.
    alone = resolve(project["tool"]["longtake"]["alone"], [], "--no-deps")
    for name in ("full", "core"):
        print(f"resolving {name} (pip asks the registry for metadata: seconds to a minute)", flush=True)
        lines = lock_lines([*resolve(wanted(project, EXTRAS[name]), pins), *alone])
        pins = [line.split()[0] for line in lines]
        (LOCKS / f"{name}.txt").write_text(f"{header(name)}\n" + "".join(f"{line}\n" for line in lines), "utf-8")
        print(f"wrote deploy/locks/{name}.txt: {len(lines)} distributions")


def wanted(project: dict[str, Any], extras: Iterable[str]) -> list[str]:
    """Requirement lines of an install, the build backend included: the package itself is built from the checkout without isolation."""
    lines = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    return lines + [line for extra in extras for line in project["project"]["optional-dependencies"][extra]]


def resolve(requirements: list[str], pins: list[str], *options: str) -> list[dict[str, Any]]:
    """Ask pip what it would install; one entry a distribution, as in pip's installation report."""
    with tempfile.TemporaryDirectory() as folder:
        report, constraints = Path(folder, "report.json"), Path(folder, "constraints.txt")
        constraints.write_text("\n".join(pins), "utf-8")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--only-binary=:all:"]
        command += ["--report", str(report), "--constraint", str(constraints), *options, *requirements]
        if subprocess.run(command, env=pip_environment(os.environ), cwd=folder).returncode != 0:
            sys.exit("pip found no set of versions that fits; its message stands above (try --upgrade).")
        installs: list[dict[str, Any]] = json.loads(report.read_text("utf-8"))["install"]
    return installs


def pip_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without pip settings that could smuggle something in; no configuration file is read either."""
    kept = {name: value for name, value in environment.items() if not name.startswith("PIP_") or name in KEPT_PIP_SETTINGS}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def lock_lines(installs: Iterable[dict[str, Any]]) -> list[str]:
    """`name==version --hash=sha256:...`, sorted by name, with the replaced distributions left out."""
    found = {canonical(install["metadata"]["name"]): install for install in installs}
    for theirs, ours in REPLACED.items():
        if found.pop(theirs, None) and ours not in found:
            sys.exit(f"something asks for {theirs}; add {ours} to the same dependencies in pyproject.toml, which takes its place")
    return [lock_line(name, found[name]) for name in sorted(found)]


def lock_line(name: str, install: dict[str, Any]) -> str:
    source = install["download_info"]
    if not source["url"].startswith("https://") or "archive_info" not in source:
        sys.exit(f"{name} would come from {source['url']}, which others do not have; only a registry's wheels can be locked")
    return f"{name}=={install['metadata']['version']} --hash=sha256:{source['archive_info']['hashes']['sha256']}"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_pins(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def header(name: str) -> str:
    return f"# Made by `python3.11 deploy/lock.py` for Linux x86-64 and Python 3.11; install with --require-hashes --no-deps. ({name})"


if __name__ == "__main__":
    main()
