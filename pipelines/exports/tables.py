"""What spreadsheets read: a row per finding, and the anomaly score per time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from pipelines.exports.markers import accepted, one_line
from pipelines.findings import Cue, Report
from pipelines.interfaces import WrongRequest

FINDING_COLUMNS = ("task", "kind", "start_s", "end_s", "score", "label", "evidence")
SCORE_COLUMNS = ("time_s", "score")


def findings_csv(report: Report) -> str:
    """One row a finding; evidence as `cue=score (detail); ...`."""
    rows = (
        (
            f.task,
            f.kind,
            f"{f.span.start_s:.6f}",
            f"{f.span.end_s:.6f}",
            f"{f.score:.6f}",
            f.label,
            "; ".join(_cue(cue) for cue in f.evidence),
        )
        for f in accepted(report)
    )
    return _csv(FINDING_COLUMNS, rows)


def scores_csv(report: Report) -> str:
    """The anomaly score over time. Raises WrongRequest where the report was made without the task."""
    task = report.task("anomalies")
    if task is None:
        raise WrongRequest("this report has no anomaly scores; analyse the video with --task anomalies")
    curve = task.curves.get("anomaly")
    rows = zip(curve.times_s, curve.values, strict=True) if curve else ()
    return _csv(SCORE_COLUMNS, ((f"{time_s:.6f}", f"{score:.6f}") for time_s, score in rows))


def _cue(cue: Cue) -> str:
    return f"{cue.name}={cue.score:.3g}" + (f" ({cue.detail})" if cue.detail else "")


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(text: str) -> str:
    """One line, and never a formula: a spreadsheet runs what begins with one of these signs, so a quote goes before it."""
    line = one_line(text)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) and not _is_number(line) else line


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
