"""Gets the servers' programs: pinned, once, whole or not at all. Knows no port, no data and no running server."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "servers"
POM = HERE / "pom.xml"
KAFKA_SHA256 = "3983b19197bfa9ba0c3f3460e09d18a272bc6b39611672dce8f7513cb8357ba7"  # of what `sha256sum *` writes about its jars
# Go checks modules by the checksums that it knows of them all.
MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
GO_FOR_MINIO = "golang.org/toolchain@v0.0.1-go1.24.8.linux-amd64"  # what MinIO's go.mod names; an older Go gets it as a module
POSTGRES = Path("/usr/lib/postgresql")  # Debian's programs lie below, in VERSION/bin, and not on the PATH


class NotInstalled(Exception):
    """A server's programs are not there and could not be got, or do not work; the sentence says what to do."""


def say(words: str) -> None:
    """Progress, for the person who waits; standard output is for answers."""
    print(f"== {words}", file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a file lock, which ends with its holder however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another that starts, stops or installs servers ({path})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list[str], **how: Any) -> None:
    """Run to the end; what it says is shown only where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise NotInstalled(f"`{' '.join(command)}` ended with {done.returncode}. Its last lines:\n{tail}")


# --- the three -----------------------------------------------------------------------------------------------------------------


def kafka() -> Path:
    """The folder of the broker's jars."""
    return installed(CACHE / "kafka", POM.read_text("utf-8") + KAFKA_SHA256, "54 MB of jars by Maven, about 20 s", make_kafka)


def minio() -> Path:
    """The server's program."""
    takes = "built from source by Go, 2 to 6 minutes and 2.5 GB, of which 150 MB stay"
    return installed(CACHE / "minio", MINIO, takes, make_minio) / "minio"


def postgres() -> Path:
    """The folder of the system's initdb and postgres, the newest where there are several."""
    return Path(program("initdb", "postgresql")).parent


def versions() -> dict[str, str]:
    told = subprocess.run([postgres() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    pom = ElementTree.parse(POM).getroot()
    return {"kafka": str(pom.findtext("version")), "minio": MINIO.partition("@")[2], "postgres": told.split()[2]}


def installed(home: Path, pin: str, takes: str, make: Callable[[Path], None]) -> Path:
    """The folder, filled by `make` where it is missing or of another pin; under its name it is always whole."""
    with locked(home.parent / ".lock"):
        marker = home / "pin"
        if not marker.exists() or marker.read_text("utf-8") != pin:
            for leftover in home.parent.glob(f"{home.name}.partial-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            say(f"installing {home.name} into {home} ({takes})")
            began, partial = time.monotonic(), Path(tempfile.mkdtemp(prefix=f"{home.name}.partial-", dir=home.parent))
            make(partial)
            (partial / "pin").write_text(pin, "utf-8")
            shutil.rmtree(home, ignore_errors=True)
            partial.rename(home)
            say(f"installed {home.name} in {time.monotonic() - began:.0f} s")
    return home


def make_kafka(folder: Path) -> None:
    java, maven = program("java", "default-jre-headless"), program("mvn", "maven")
    if version_of(java, "--version") < (17, 0):
        raise NotInstalled(f"Kafka needs Java 17 or newer, {java} is older. On Debian or Ubuntu: apt-get install openjdk-17-jre-headless")
    with tempfile.TemporaryDirectory(dir=folder) as repository:
        settings = [f"-Dmaven.repo.local={repository}", f"-DoutputDirectory={folder}"]
        run([maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", *settings])
    lines = [f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n" for jar in sorted(folder.iterdir())]
    found = hashlib.sha256("".join(lines).encode()).hexdigest()
    if found != KAFKA_SHA256:
        raise NotInstalled(f"Maven brought other jars than Longtake was tried with: SHA-256 {found}, expected {KAFKA_SHA256}")


def make_minio(folder: Path) -> None:
    go = program("go", "golang-go")
    with tempfile.TemporaryDirectory(dir=folder) as workshop:
        places = {"GOPATH": workshop, "GOMODCACHE": f"{workshop}/modules", "GOCACHE": f"{workshop}/built", "GOBIN": str(folder)}
        # Modules would be read-only, and not to be removed like other files; with a C compiler at hand the program would differ.
        environment = {**os.environ, **places, "GOFLAGS": "-modcacherw", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        if version_of(go, "version") < (1, 24):
            run([go, "mod", "download", GO_FOR_MINIO], env=environment, cwd=workshop)
            tools = Path(workshop, "modules", GO_FOR_MINIO)
            run(["chmod", "-R", "+x", str(tools / "bin"), str(tools / "pkg" / "tool")])
            go = str(tools / "bin" / "go")
        run([go, "install", MINIO], env=environment, cwd=workshop)


# --- what the system provides ------------------------------------------------------------------------------------------------------


def program(name: str, package: str) -> str:
    """The path of a program, got by apt-get where it is missing and that is allowed."""
    if not find(name):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise NotInstalled(f"{name} is not installed. On Debian or Ubuntu: sudo apt-get install {package}")
        say(f"{name} is not installed: getting the system's package {package}")
        run(["apt-get", "update", "-qq"])
        run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        )
    return str(find(name))


def find(name: str) -> str | None:
    newest_first = sorted(POSTGRES.glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, newest_first), os.environ.get("PATH", os.defpath)]))


def version_of(path: str, question: str) -> tuple[int, int]:
    """The first number that a program tells of itself: (17, 0) for `openjdk 17.0.15 2025-04-15`."""
    told = subprocess.run([path, question], capture_output=True, text=True).stdout
    number = re.search(r"(\d+)(?:\.(\d+))?", told)
    return (int(number[1]), int(number[2] or 0)) if number else (0, 0)
