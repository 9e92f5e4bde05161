"""Reports and findings as tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.findings import Finding, Report, Status
from pipelines.stores.database import FindingRow

COLOURS = {Status.OK: "green", Status.EMPTY: "cyan", Status.DEGRADED: "yellow", Status.FAILED: "red"}
MOST_ROWS = 30


def clock(seconds: float) -> str:
    """75.25 -> "1:15.250"; hours only where there are some."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    shown = f"{minutes}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}"
    return f"{shown}:{rest // 1000:02d}.{rest % 1000:03d}"


def report_table(report: Report, folder: Path) -> RenderableType:
    """One report: a headline, a line per task, the findings worth a row, where the files lie."""
    head = Text.assemble(
        (report.name, "bold"), "  ", (report.status.value, f"bold {COLOURS[report.status]}"),
        f"  {clock(report.coverage.seconds_total)} long, {report.coverage.ratio:.0%} seen", (f"  {report.reason}", "dim"),
    )  # fmt: skip
    return Group(head, *_task_lines(report), _findings_table(report), Text(f"report: {folder / 'report.html'}", style="dim"))


def _task_lines(report: Report) -> Iterable[RenderableType]:
    for task in report.tasks:
        kept = [f for f in task.findings if f.state != "rejected"]
        yield Text.assemble(
            "  ",
            (f"{task.task:<10}", "bold"),
            (f"{task.status.value:<9}", COLOURS[task.status]),
            f"{len(kept):>4} found  ",
            (task.reason, "dim"),
        )


def _findings_table(report: Report) -> RenderableType:
    worth = [f for f in report.findings if f.task != "shots"]
    if not worth:
        return Text("")
    table = _table()
    for finding in worth[:MOST_ROWS]:
        table.add_row(*_cells(finding, finding.span.start_s, finding.span.end_s))
    if len(worth) > MOST_ROWS:
        table.add_row("", "", "", "", "", f"... and {len(worth) - MOST_ROWS} more in the report", "")
    return table


def _cells(finding: Finding | FindingRow, start_s: float, end_s: float) -> list[RenderableType]:
    label = finding.label if finding.state == "found" else f"{finding.label} ({finding.state})"
    return [
        Text(cell) for cell in (clock(start_s), clock(end_s), finding.task, finding.kind, f"{finding.score:.2f}", label, finding.id[:8])
    ]


def findings_table(rows: Iterable[FindingRow]) -> Table:
    """Rows of the result store, with the video each belongs to."""
    table = _table("video")
    for row in rows:
        table.add_row(Text(row.name), *_cells(row, row.start_s, row.end_s))
    return table


def _table(*first: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for name in (*first, "start", "end", "task", "kind", "score", "label", "id"):
        is_number, is_text = name in ("start", "end", "score"), name in ("video", "label")
        table.add_column(
            name,
            justify="right" if is_number else "left",
            no_wrap=not is_text,
            overflow="fold",
            min_width=12 if is_text else 8 if name == "id" else None,
        )
    return table
