"""Names the machine a figure was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import av
import numpy as np


def machine() -> str:
    """Processor, cores, memory and the versions that matter, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    processor = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())
    gibi = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = f"Python {platform.python_version()}, PyAV {av.__version__}, numpy {np.__version__}"
    return f"{processor}, {os.cpu_count()} cores, {gibi:.0f} GiB; {versions}"
