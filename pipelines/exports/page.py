"""report.html: the whole report as one file that works from disk, with no network. Knows the template, decides nothing about findings."""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from pipelines.exports.report_json import report_to_json
from pipelines.findings import Report

TEMPLATE = Path(__file__).with_name("template")
SCRIPTS = ("base.js", "player.js", "lanes.js", "texts.js", "timeline.js", "findings.js", "page.js")  # each uses those before


def report_page(report: Report, media_href: str, proxy_href: str | None = None) -> str:
    """The page as HTML text.

    media_href, proxy_href: paths of the video and of its browser-friendly copy, relative to the page, as the file system
    spells them: any name may stand in them, spaces, quotes, `#`, `?`, `%` and bytes that are no text included.
    """
    data = report_to_json(report, with_pictures=True)
    media = {"media": _href(media_href), "proxy": _href(proxy_href) if proxy_href else None}
    parts = {
        "title": html.escape(data["name"]),
        "css": _template("report.css"),
        "js": "\n".join(_template(name) for name in SCRIPTS),
        "report": _embedded(data),
        "media": _embedded(media),
    }
    pieces = re.split(r"{{(\w+)}}", _template("report.html"))  # split before filling: what is filled in may hold a marker itself
    return "".join(parts[piece] if n % 2 else piece for n, piece in enumerate(pieces))


def _href(path: str) -> str:
    """A relative URL: every byte that could mean something else in one is escaped, `:` (a scheme) among them."""
    return quote_from_bytes(os.fsencode(path), safe="/")


def _embedded(value: Any) -> str:
    """JSON that cannot end its script element, whatever a title says."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _template(name: str) -> str:
    return (TEMPLATE / name).read_text(encoding="utf-8")
