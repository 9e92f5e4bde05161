"""Ends a folder's servers when whoever started this ends: `python -m deploy.local.watchdog FOLDER keep|remove`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.local.servers import Servers


def main(folder: str, afterwards: str) -> None:
    sys.stdin.read()  # returns when the other end of the pipe is closed, and a process that ends closes all
    Servers(folder).stop()
    if afterwards == "remove":
        shutil.rmtree(Path(folder, "postgres").resolve())  # lies elsewhere where PostgreSQL's account cannot reach the folder
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
