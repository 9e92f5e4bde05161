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
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for name, justify in (
        ("start", "right"),
        ("end", "right"),
        ("task", "left"),
        ("kind", "left"),
        ("score", "right"),
        ("label", "left"),
        ("id", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=name not in ("label",))  # type: ignore[arg-type]
    for finding in worth[:MOST_ROWS]:
        table.add_row(*_cells(finding))
    if len(worth) > MOST_ROWS:
        table.add_row("", "", "", "", "", f"... and {len(worth) - MOST_ROWS} more in the report", "")
    return table


def _cells(finding: Finding) -> list[RenderableType]:
    label = finding.label if finding.state == "found" else f"{finding.label} ({finding.state})"
    cells = [
        clock(finding.span.start_s),
        clock(finding.span.end_s),
        finding.task,
        finding.kind,
        f"{finding.score:.2f}",
        label,
        finding.id[:8],
    ]
    return [Text(cell) for cell in cells]


def findings_table(rows: Iterable[FindingRow]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1))
    for name in ("video", "start", "end", "task", "kind", "score", "label", "state", "id"):
        is_number, is_text = name in ("start", "end", "score"), name in ("video", "label")
        table.add_column(name, justify="right" if is_number else "left", no_wrap=not is_text, overflow="fold")
    for row in rows:
        cells = (row.name, clock(row.start_s), clock(row.end_s), row.task, row.kind, f"{row.score:.2f}", row.label, row.state, row.id[:8])
        table.add_row(*map(Text, cells))
    return table
