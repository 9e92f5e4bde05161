"""What a worker may spend on one file. Knows numbers and the system's own fences, nothing of media."""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path

MEBI = 1 << 20
MOST_PIXELS = 8192 * 8192  # of one picture: 4320p twice over; a decoder holds a handful, 100 MiB each (FFmpeg itself stops at 1000 streams)


@dataclass(frozen=True, slots=True)
class Limits:
    """Fences around one worker process. What goes past one ends that worker, never the run."""

    memory_bytes: int = 1024 * MEBI  # 2160p HEVC of 10 bits takes about 400 MiB
    look_s: float = 60.0  # of computing, for reading the index; an hour of broadcast takes about a second
    look_bytes_per_s: float = 10e6  # and a second more for every 10 MB, as slow network disks read
    stall_s: float = 60.0  # of computing without a sign of life: the slowest honest picture takes about a second, a minute of sound two
    patience_s: float = 600.0  # by the wall clock, where a worker waits for a disk or a crowded machine
    block_s: float = 1800.0  # of computing for one minute of video: 30 times slower than life
    duration_s: float = 7 * 86_400.0  # a week; more is a broken time stamp

    def look_allowance_s(self, size_bytes: int) -> float:
        return self.look_s + size_bytes / self.look_bytes_per_s


STANDARD = Limits()


def fence(limits: Limits) -> None:
    """Put this process under `limits` for good: an allocation past the memory fails, a crash leaves no core file.

    RLIMIT_DATA and not RLIMIT_AS: it counts what a worker can write (64 MiB after its imports) and leaves out the 145 MiB of
    mapped libraries, so that one number means the same on every machine. macOS enforces neither.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = limits.memory_bytes if hard == resource.RLIM_INFINITY else min(limits.memory_bytes, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def resident_bytes(pid: int) -> int:
    """Memory a process holds now; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


def computed_s(pid: int) -> float:
    """Processor time a process has used; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0
