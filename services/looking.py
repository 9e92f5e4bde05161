"""Commands that show or change what is known without watching a film: probe, export, findings, correct, doctor."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.interfaces import WrongRequest


def print_json(document: Any) -> None:
    json.dump(document, sys.stdout, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def show_probe(video: Path, *, as_json: bool) -> None:
    from pipelines.looking import probe_video

    facts = probe_video(video)
    if as_json:
        print_json(facts)
        return
    Console().print(_facts_table(video.name, facts))


def _facts_table(name: str, facts: Mapping[str, Any]) -> Table:
    table = Table(title=Text(name), title_justify="left", show_header=False, box=None, padding=(0, 1))
    for key, value in facts.items():
        if value in ("", None, [], ()):
            continue
        rows = value if isinstance(value, (list, tuple)) else [value]
        for place, row in enumerate(rows):
            table.add_row(Text(key.replace("_", " ") if place == 0 else "", style="dim"), Text(_told(row)))
    return table


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return "  ".join(f"{v}" for v in value.values() if v not in ("", None))
    if isinstance(value, float):
        return f"{value:.3f}"
    return "  ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def export_report(path: Path, formats: Sequence[str], out: Path | None) -> None:
    from pipelines.exports.registry import export_named
    from pipelines.exports.report_json import read_report

    exports = [export_named(name) for name in formats]
    report = read_report(path / "report.json" if path.is_dir() else path)
    if len(exports) > 1 and (out is None or not out.is_dir()):
        raise WrongRequest("several formats need a folder: --out DIR, one that exists")
    for export in exports:
        text = export.write(report)
        if out is None:
            sys.stdout.write(text)
        else:
            (export.path(out, report.name) if out.is_dir() else out).write_text(text, encoding="utf-8", newline="")


def show_findings(store: str | None, *, as_json: bool, **query: Any) -> None:
    from pipelines.profiles import TASKS
    from services.opening import open_store
    from services.tables import findings_table

    if query["task"] not in (None, *TASKS):
        raise WrongRequest(f"no task is called {query['task']}; there are {', '.join(TASKS)}")
    rows = open_store(store).results.findings(**query)
    if as_json:
        print_json({"findings": [asdict(row) for row in rows]})
    elif rows:
        Console().print(findings_table(rows))
    else:
        Console().print("no findings; `longtake analyze VIDEO` makes some, and filters may be too narrow")


def correct_finding(
    store: str | None, finding: str, *, start: float | None, end: float | None, label: str | None, rejected: bool, note: str, as_json: bool
) -> None:
    from model.video import TimeSpan
    from services.opening import open_store
    from services.tables import findings_table

    if start is None and end is None and not label and not rejected and not note:
        raise WrongRequest("nothing to correct: give --start, --end, --label, --reject or --note")
    results = open_store(store).results
    row = results.finding(finding)
    try:
        moved = start is not None or end is not None
        span = TimeSpan(row.start_s if start is None else start, row.end_s if end is None else end) if moved else None
    except ValueError as error:
        raise WrongRequest(str(error)) from error
    now = results.correct(row.id, span=span, label=label, rejected=rejected, note=note)
    if as_json:
        print_json(asdict(now))
    else:
        Console().print(findings_table([now]))


def show_diagnosis(store: str | None, *, as_json: bool) -> int:
    """Exit code 0 where the main job can run, 4 where something it needs does not answer."""
    from services.doctor import diagnose
    from services.opening import default_folder

    checks = diagnose(default_folder() if store is None or "://" in store else Path(store))
    if as_json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        Console().print(_checks_table(checks))
    return 4 * any(check.status == "broken" for check in checks)


def _checks_table(checks: Sequence[Any]) -> Table:
    colours = {"ok": "green", "missing": "yellow", "broken": "red"}
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for name in ("what", "", "found", "what to do"):
        table.add_column(name, overflow="fold")
    for check in checks:
        table.add_row(Text(check.name), Text(check.status, style=colours[check.status]), Text(check.found), Text(check.advice))
    return table
