"""report.json: the report as plain JSON of a published schema, and back. Pictures lie beside it, named by reference."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from model.video import Clock, TimeSpan
from pipelines.findings import REPORT_VERSION, Coverage, Cue, Curve, Finding, KeyFrame, Report, Shot, Status, TaskResult
from pipelines.interfaces import WrongRequest
from pipelines.series import Missing
from pipelines.texts import spoken_from_json, spoken_to_json, texts_from_json, texts_to_json

SCHEMA_PATH = Path(__file__).with_name(f"report-{REPORT_VERSION}.schema.json")
SCHEMA_ID = f"urn:longtake:schema:report:{REPORT_VERSION}"
LINE_WIDTH = 140
NUMBERS = {"number": {int, float}, "['number', 'null']": {int, float, type(None)}}


def report_to_json(report: Report, *, with_pictures: bool = False) -> dict[str, Any]:
    """The report as JSON values in a fixed key order; times rounded to microseconds.

    with_pictures: put the storyboard's JPEGs in as base64 (the page and the store need them); otherwise they are only
    named, and `storyboard_files` has the bytes.
    """
    return {
        "$schema": SCHEMA_ID,
        "version": REPORT_VERSION,
        "request_id": report.request_id,
        "video_id": report.video_id,
        "name": report.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),  # a file's name may be no text at all
        "status": report.status.value,
        "reason": report.reason,
        "coverage": _coverage(report.coverage),
        "system": report.system,
        "digest": report.digest,
        "settings": _plain(report.settings),
        "media": _plain(report.media),
        "clock": {"time_base": str(report.clock.time_base), "origin_s": str(report.clock.origin_s)} if report.clock else None,
        "missing": [{**_span(span), "reason": span.reason} for span in report.missing],
        "tasks": [_task(task) for task in report.tasks],
        "shots": [_shot(shot) for shot in report.shots],
        "curves": _curves(report.curves),
        "storyboard": [_key_frame(n, frame, with_pictures) for n, frame in enumerate(report.storyboard)],
        "texts": texts_to_json(report.texts),
        "spoken": spoken_to_json(report.spoken),
        "timings_s": _plain(report.timings_s),
        "ext": {},
    }


def report_from_json(data: Mapping[str, Any], pictures: Mapping[str, bytes] | None = None) -> Report:
    """The report behind `data`, which this program wrote (a store's); `checked` is for what strangers hand in.

    pictures: JPEG bytes by their `uri`, as `storyboard_files` gives them; unknown ones stay empty.
    Raises WrongRequest where `data` contradicts itself.
    """
    given = pictures or {}
    try:
        return Report(
            request_id=data["request_id"],
            video_id=data["video_id"],
            name=data["name"],
            status=Status(data["status"]),
            reason=data["reason"],
            coverage=Coverage(data["coverage"]["seconds_seen"], data["coverage"]["seconds_total"]),
            system=data["system"],
            settings=data["settings"],
            digest=data["digest"],
            media=data["media"],
            tasks=tuple(_read_task(task) for task in data["tasks"]),
            shots=tuple(_read_shot(shot) for shot in data["shots"]),
            curves=_read_curves(data["curves"]),
            storyboard=tuple(_read_key_frame(frame, given) for frame in data["storyboard"]),
            timings_s=data["timings_s"],
            missing=tuple(Missing(span["start_s"], span["end_s"], span["reason"]) for span in data["missing"]),
            clock=Clock(Fraction(data["clock"]["time_base"]), Fraction(data["clock"]["origin_s"])) if data["clock"] else None,
            texts=texts_from_json(data.get("texts", ())),  # reports of the first version had none
            spoken=spoken_from_json(data.get("spoken", ())),
        )
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise WrongRequest(f"this report contradicts itself or lacks something: {error}") from error


def storyboard_files(report: Report) -> dict[str, bytes]:
    """JPEG bytes by path relative to report.json."""
    return {picture_uri(n): frame.jpeg for n, frame in enumerate(report.storyboard)}


def picture_uri(number: int) -> str:
    return f"storyboard/{number + 1:04d}.jpg"


def write_report(report: Report, folder: Path) -> Path:
    """Write `folder`/report.json and the pictures it names; returns the path of report.json."""
    for uri, jpeg in storyboard_files(report).items():
        (folder / uri).parent.mkdir(parents=True, exist_ok=True)
        (folder / uri).write_bytes(jpeg)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.json"
    path.write_text(report_text(report), encoding="utf-8")
    return path


def read_report(path: Path) -> Report:
    """The report in a file, with the pictures that still lie beside it. Raises WrongRequest with the reason."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WrongRequest(f"{path.name} cannot be read as JSON: {error}") from error
    checked(data)
    names = {picture_uri(n) for n in range(len(data["storyboard"]))}  # never a path that a stranger's report names
    return report_from_json(data, {name: (path.parent / name).read_bytes() for name in names if (path.parent / name).is_file()})


def report_text(report: Report) -> str:
    """report.json as text that a person can read: one finding, shot or curve a line wherever it fits."""
    return _pretty(report_to_json(report), 0) + "\n"


@cache
def report_schema() -> dict[str, Any]:
    return json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator, validators  # type: ignore[import-untyped]

    slow = Draft202012Validator.VALIDATORS["items"]

    def items(validator: Any, wanted: Any, values: Any, schema: Any) -> Any:
        """A curve has 10,000 numbers, and asking the schema about each takes a second: a list of nothing but numbers is one question."""
        allowed = NUMBERS.get(str(wanted.get("type")) if isinstance(wanted, dict) else "")
        if allowed and isinstance(values, list) and {type(v) for v in values} <= allowed:
            return ()
        return slow(validator, wanted, values, schema)

    return validators.extend(Draft202012Validator, {"items": items})(report_schema())


def checked(data: Any) -> dict[str, Any]:
    """`data` if the published schema accepts it. Raises WrongRequest that says where it does not."""
    error = next(_validator().iter_errors(data), None)
    if error is not None:
        raise WrongRequest(f"this is not a Longtake report {REPORT_VERSION}: at {error.json_path}, {error.message[:300]}")
    return data  # type: ignore[no-any-return]


def _coverage(coverage: Coverage) -> dict[str, float]:
    return {"seconds_seen": _time(coverage.seconds_seen), "seconds_total": _time(coverage.seconds_total), "ratio": _time(coverage.ratio)}


def _span(span: TimeSpan) -> dict[str, float]:
    return {"start_s": _time(span.start_s), "end_s": _time(span.end_s)}


def _shot(shot: Shot) -> dict[str, Any]:
    transition = _span(shot.transition) if shot.transition else None
    return {**_span(shot.span), "opened_by": shot.opened_by, "transition": transition, "score": _time(shot.score)}


def _task(task: TaskResult) -> dict[str, Any]:
    return {
        "task": task.task,
        "status": task.status.value,
        "reason": task.reason,
        "findings": [finding_to_json(finding) for finding in task.findings],
        "curves": _curves(task.curves),
        "data": _plain(task.data),
    }


def finding_to_json(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "task": finding.task,
        "kind": finding.kind,
        **_span(finding.span),
        "ticks": list(finding.ticks) if finding.ticks else None,
        "score": _time(finding.score),
        "label": finding.label,
        "explanation": finding.explanation,
        "evidence": [_cue(cue) for cue in finding.evidence],
        "data": _plain(finding.data),
        "revision": finding.revision,
        "state": finding.state,
    }


def _cue(cue: Cue) -> dict[str, Any]:
    return {"name": cue.name, "score": _plain(cue.score), "detail": cue.detail, "span": _span(cue.span) if cue.span else None}


def _curves(curves: Mapping[str, Curve]) -> dict[str, Any]:
    return {
        name: {"times_s": [_time(t) for t in curve.times_s], "values": [_number(v, 4) for v in curve.values]}
        for name, curve in sorted(curves.items())
    }


def _key_frame(number: int, frame: KeyFrame, with_picture: bool) -> dict[str, Any]:
    picture: dict[str, Any] = {
        "uri": picture_uri(number),
        "content_type": "image/jpeg",
        "size": len(frame.jpeg),
        "sha256": hashlib.sha256(frame.jpeg).hexdigest(),
    }
    if with_picture:
        picture["base64"] = base64.b64encode(frame.jpeg).decode("ascii")
    return {"time_s": _time(frame.time_s), "label": frame.label, "picture": picture}


def _time(seconds: float) -> float:
    return round(float(seconds), 6)


def _number(value: float, digits: int) -> float | None:
    """JSON has no NaN and no infinity: they are null (silence has a loudness of minus infinity)."""
    return round(float(value), digits) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """JSON values of what probe, settings and tasks hold; keys of free mappings sorted."""
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return _number(value, 6)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return str(value)  # Fraction: "30000/1001"


def _read_span(data: Mapping[str, Any]) -> TimeSpan:
    return TimeSpan(data["start_s"], data["end_s"])


def _read_shot(data: Mapping[str, Any]) -> Shot:
    transition = _read_span(data["transition"]) if data["transition"] else None
    return Shot(_read_span(data), data["opened_by"], transition, data["score"])


def _read_task(data: Mapping[str, Any]) -> TaskResult:
    return TaskResult(
        task=data["task"],
        status=Status(data["status"]),
        findings=tuple(finding_from_json(finding) for finding in data["findings"]),
        reason=data["reason"],
        curves=_read_curves(data["curves"]),
        data=data["data"],
    )


def finding_from_json(data: Mapping[str, Any]) -> Finding:
    plain = {key: data[key] for key in ("task", "kind", "score", "label", "explanation", "data", "id", "revision", "state")}
    return Finding(
        span=_read_span(data),
        evidence=tuple(_read_cue(cue) for cue in data["evidence"]),
        ticks=tuple(data["ticks"]) if data["ticks"] else None,
        **plain,
    )


def _read_cue(data: Mapping[str, Any]) -> Cue:
    score = math.nan if data["score"] is None else data["score"]
    return Cue(data["name"], score, data["detail"], _read_span(data["span"]) if data["span"] else None)


def _read_curves(data: Mapping[str, Any]) -> dict[str, Curve]:
    return {
        name: Curve(tuple(curve["times_s"]), tuple(math.nan if v is None else v for v in curve["values"])) for name, curve in data.items()
    }


def _read_key_frame(data: Mapping[str, Any], pictures: Mapping[str, bytes]) -> KeyFrame:
    picture = data["picture"]
    jpeg = base64.b64decode(picture["base64"], validate=True) if "base64" in picture else pictures.get(picture["uri"], b"")
    return KeyFrame(data["time_s"], jpeg, data["label"])


def _pretty(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(flat) + depth <= LINE_WIDTH or not isinstance(value, (dict, list)):
        return flat
    inner, outer = " " * (depth + 1), " " * depth
    if isinstance(value, dict):
        rows = [f"{inner}{json.dumps(key, ensure_ascii=False)}: {_pretty(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{outer}}}"
    if not any(isinstance(item, (dict, list, str)) for item in value):
        return flat  # a curve
    return "[\n" + ",\n".join(inner + _pretty(item, depth + 1) for item in value) + f"\n{outer}]"
