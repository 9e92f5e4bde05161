"""Gets the servers' programs, each pinned, once, whole or not at all. Knows no port, no data and no running server."""

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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "servers"

POM = HERE / "pom.xml"
KAFKA_JARS_SHA256 = "3983b19197bfa9ba0c3f3460e09d18a272bc6b39611672dce8f7513cb8357ba7"  # of the lines that `sha256sum *` writes
# The last source of the project, a month before it was closed; Go checks it by its checksum.
MINIO_MODULE = "github.com/minio/minio"
MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
POSTGRES_FOLDERS = Path("/usr/lib/postgresql")  # Debian's programs lie below, in VERSION/bin, and not on the PATH


class NotInstalled(Exception):
    """A server's programs are not there and could not be got; the sentence says what to do."""


def say(words: str) -> None:
    """Progress, for the person who waits; standard output stays for the answer."""
    print(f"== {words}", file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a file lock, which ends with its holder however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that starts, stops or installs servers ({path})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- what is installed into the cache ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Package:
    """One server's programs: `make(folder)` fills an empty folder; another `pin` than the installed one makes them anew."""

    name: str
    pin: str
    takes: str
    make: Callable[[Path], None]

    def installed(self, cache: Path = CACHE) -> Path:
        """The folder that holds the programs, made first where it is missing or of another pin."""
        home = cache / self.name
        if not self._is_in(home):
            with locked(cache / ".lock"):
                if not self._is_in(home):
                    self._install(home)
        return home

    def _is_in(self, home: Path) -> bool:
        marker = home / "pin"
        return marker.exists() and marker.read_text("utf-8") == self.pin

    def _install(self, home: Path) -> None:
        for leftover in home.parent.glob(f"{self.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{self.name}.partial-", dir=home.parent))
        say(f"installing {self.name} into {home} ({self.takes})")
        began = time.monotonic()
        try:
            self.make(partial)
            (partial / "pin").write_text(self.pin, "utf-8")
            shutil.rmtree(home, ignore_errors=True)
            partial.rename(home)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        say(f"installed {self.name} in {time.monotonic() - began:.0f} s")


def make_kafka(folder: Path) -> None:
    require("java", "default-jre-headless", at_least=(17, 0))
    require("mvn", "maven")
    with tempfile.TemporaryDirectory(dir=folder) as repository:
        command = ["mvn", "-q", "-B", f"-Dmaven.repo.local={repository}", "-f", str(POM)]
        run([*command, "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'libs'}", "-DincludeScope=runtime"], "Kafka")
    lines = [f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n" for jar in sorted((folder / "libs").iterdir())]
    found = hashlib.sha256("".join(lines).encode()).hexdigest()
    if found != KAFKA_JARS_SHA256:
        raise NotInstalled(f"Maven brought other jars than Longtake was tried with: SHA-256 {found}, expected {KAFKA_JARS_SHA256}.")


def make_minio(folder: Path) -> None:
    require("go", "golang-go", at_least=(1, 24))
    with tempfile.TemporaryDirectory(dir=folder) as workshop:
        places = {"GOPATH": f"{workshop}/path", "GOMODCACHE": f"{workshop}/modules", "GOCACHE": f"{workshop}/built", "GOBIN": str(folder)}
        # The modules would be written read-only, and could then not be removed like other files.
        run(["go", "install", "-modcacherw", f"{MINIO_MODULE}@{MINIO_VERSION}"], "MinIO", places)


def kafka() -> Package:
    return Package("kafka", f"{POM.read_text('utf-8')}\n{KAFKA_JARS_SHA256}\n", "54 MB of jars by Maven, about 20 s", make_kafka)


def minio() -> Package:
    takes = "built from source by Go, 2 to 4 minutes, 150 MB stay of 2.3 GB"
    return Package("minio", f"{MINIO_MODULE}@{MINIO_VERSION}\n", takes, make_minio)


def versions() -> dict[str, str]:
    """What runs, by server. PostgreSQL's is the system's."""
    pom = ElementTree.parse(POM).getroot()
    told = subprocess.run([postgres_programs() / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return {"kafka": str(pom.findtext("{*}version")), "minio": MINIO_VERSION, "postgres": told.split()[2]}


def postgres_programs() -> Path:
    """The folder of initdb and postgres, the newest version's where there are several."""
    found = sorted(POSTGRES_FOLDERS.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    if elsewhere := shutil.which("initdb"):
        return Path(elsewhere).resolve().parent
    get_by_apt("postgresql", "PostgreSQL is not installed")
    return postgres_programs()


# --- what the system provides ------------------------------------------------------------------------------------------------


def require(program: str, package: str, *, at_least: tuple[int, int] = (0, 0)) -> None:
    """Makes sure that a program is there and new enough, by the system's packages where that is allowed."""
    if not shutil.which(program):
        get_by_apt(package, f"{program} is not installed")
    if any(at_least) and version_of(program) < at_least:
        found, wanted = (".".join(map(str, version)) for version in (version_of(program), at_least))
        raise NotInstalled(
            f"{program} is {found}, but {wanted} or newer is needed; put a newer one first on the PATH "
            f"(on Debian 12: apt-get install -t bookworm-backports {package})"
        )


def version_of(program: str) -> tuple[int, int]:
    """The first number that a program tells of itself: (17, 0) for `openjdk 17.0.15 2025-04-15`."""
    argument = "version" if program == "go" else "--version"
    told = subprocess.run([program, argument], capture_output=True, text=True).stdout
    number = re.search(r"(\d+)(?:\.(\d+))?", told)
    return (int(number[1]), int(number[2] or 0)) if number else (0, 0)


def get_by_apt(package: str, trouble: str) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NotInstalled(f"{trouble}. On Debian or Ubuntu: sudo apt-get install {package}")
    say(f"{trouble}: installing the system's package {package}")
    run(["apt-get", "update", "-qq"], package)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], package, {"DEBIAN_FRONTEND": "noninteractive"})


def run(command: list[str], what: str, more: Mapping[str, str] | None = None) -> None:
    """Run to the end; standard output is ours, so the program's own words are kept for the case that it fails."""
    done = subprocess.run(command, env={**os.environ, **(more or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise NotInstalled(f"{what} could not be installed: `{' '.join(command)}` ended with {done.returncode}. Its last lines:\n{tail}")
