"""report.html: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from pipelines.exports.page import report_page
from pipelines.exports.report_json import report_to_json
from pipelines.findings import Report, Status
from tests.exports import reports
from tests.exports.browser import Browser, browser, needs_browser
from tests.exports.films import make_film


class Scripts(HTMLParser):
    """The page's scripts as a browser delimits them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self.elements: list[str] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self._open = tag == "script"
        if self._open:
            self.found.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            attributes, text = self.found[-1]
            self.found[-1] = attributes, text + data


@pytest.mark.parametrize("report", [reports.clip(), reports.hostile(), reports.empty()], ids=["clip", "hostile", "empty"])
def test_the_page_holds_the_whole_report(report: Report) -> None:
    scripts = Scripts(report_page(report, report.name))

    data = next(text for attributes, text in scripts.found if attributes.get("id") == "report-data")
    assert json.loads(data) == json.loads(json.dumps(report_to_json(report, with_pictures=True)))
    assert len(scripts.found) == 3  # the report, where the video lies, and the program: no title opened a fourth


def test_the_page_asks_nobody_for_anything() -> None:
    page = report_page(reports.clip(), "clip.mp4")

    assert re.findall(r"""\s(?:src|href)=(?!"data:|"#)""", page) == []
    assert not re.search(r"https?://(?!www\.w3\.org)", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    "name", ["a b.mp4", "q\"'.mp4", "50%41.mp4", "#1?x=2.mp4", "naïve – ü.mp4", "a:b.mp4", "../up/new\nline.mp4", "b\udce9.mp4"]
)
def test_any_file_name_becomes_a_link_to_that_file(name: str) -> None:
    scripts = Scripts(report_page(reports.empty(), name))

    link = json.loads(next(text for attributes, text in scripts.found if attributes.get("id") == "media-data"))["media"]
    full = urlsplit(urljoin("file:///films/report.html", link))
    assert (full.scheme, full.query, full.fragment) == ("file", "", "")
    assert unquote(link, errors="surrogateescape") == name


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of all made-up reports; the clip has its video beside it, under a name full of traps."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "film": reports.broadcast(),
        "clip": reports.clip(),
        "empty": reports.empty(),
        "broken": reports.broken(),
        "hostile": reports.hostile(),
    }
    for name, report in made.items():
        media = "50% #1 “ü”?.webm" if name == "clip" else report.name
        (folder / f"{name}.html").write_text(report_page(report, media), "utf-8")
    make_film(folder / "50% #1 “ü”?.webm", 14.0, codec="libvpx", sound="libopus")
    return folder


def expected_problems(problems: list[str]) -> list[str]:
    """All but the one that a page without its video must have."""
    return [p for p in problems if "ERR_FILE_NOT_FOUND" not in p]


@needs_browser
def test_a_click_on_the_timeline_seeks_the_video(window: Browser, folder: Path) -> None:
    window.open(folder / "clip.html")
    window.wait_for("player.ready")

    window.click("#canvas", 0.5)
    expected = window.value("timeline.time(canvas.clientWidth * 0.5)")
    window.wait_for(f"Math.abs(player.video.currentTime - {expected}) < 0.01")
    assert window.value("document.getElementById('clock').textContent").startswith(f"0:{int(expected):02d}.")

    window.click("[data-id].row .time button")
    window.wait_for("Math.abs(player.video.currentTime - 6.2) < 0.01")
    assert window.value("document.querySelector('.row').classList.contains('now')")
    window.click(".shot[data-n='2']")
    window.wait_for("Math.abs(player.video.currentTime - 12) < 0.01")
    assert window.problems == []


@needs_browser
def test_the_keys_work(window: Browser, folder: Path) -> None:
    window.open(folder / "clip.html", "#t=3.5")
    window.wait_for("player.ready && Math.abs(player.video.currentTime - 3.5) < 0.01")

    for key, time_s in (
        ("ArrowRight", 4.5),
        ("l", 13.999),
        ("j", 3.999),
        ("ArrowLeft", 2.999),
        (".", 3.039),
        ("n", 6.2),
        ("p", 6.2),
        ("l", 13.999),
        ("[", 6.2),
    ):
        window.press(key)
        assert window.value("player.time") == pytest.approx(time_s, abs=1e-3), key
    window.press("?")
    assert window.value("document.getElementById('help').open") is True
    window.press("Escape")
    assert window.problems == []


@needs_browser
def test_the_keys_play_and_pause(window: Browser, folder: Path) -> None:
    window.open(folder / "clip.html", "#t=3.5")
    window.wait_for("player.ready && !player.video.seeking && Math.abs(player.video.currentTime - 3.5) < 0.01")

    window.press("k")
    window.wait_for("player.time > 3.7")
    window.press(" ", "Space")
    window.wait_for("player.video.paused")
    assert window.problems == []


@needs_browser
def test_the_timeline_zooms_to_frames_and_pans(window: Browser, folder: Path) -> None:
    window.open(folder / "film.html")

    around = window.value("timeline.time(canvas.clientWidth * 0.75)")
    for _ in range(8):
        window.wheel("#canvas", 0.75, -100)
    window.wait_for("timeline.span < 7200 / 4")
    assert window.value("timeline.time(canvas.clientWidth * 0.75)") == pytest.approx(around, abs=2.0)
    start = window.value("timeline.start")
    window.drag("#canvas", 0.5, -200)
    window.wait_for(f"timeline.start > {start}")
    assert window.value("player.time") == 0  # a drag is no click
    for _ in range(30):
        window.press("+")
    assert window.value("timeline.span") == pytest.approx(0.5, abs=0.03)
    window.press("0")
    assert window.value("timeline.span") == 7200
    window.hover("#canvas", 0.5)
    window.wait_for("!document.getElementById('tip').hidden")
    assert "Shot" in window.value("document.getElementById('tip').textContent")


@needs_browser
def test_a_long_film_stays_quick(window: Browser, folder: Path) -> None:
    window.open(folder / "film.html")

    assert window.value("report.shots.length") == 1500
    elements = window.value("document.querySelectorAll('*').length")
    assert elements < 2500  # shots are painted, not made of elements


@needs_browser
def test_findings_are_filtered_sorted_and_unfolded(window: Browser, folder: Path) -> None:
    window.open(folder / "film.html")
    rows = "document.querySelectorAll('tr.row').length"

    assert window.value(rows) == 29
    window.click("[data-task=ads]")
    assert window.value(rows) == 4
    assert window.value("document.querySelector('[data-task=ads]').getAttribute('aria-pressed')") == "false"
    window.click("[data-task=chapters]")
    assert window.value(rows) == 16
    window.click("th[data-key=score] button")
    scores = window.value("[...document.querySelectorAll('tr.row')].map(r => r.finding.score)")
    assert scores == sorted(scores, reverse=True)
    assert window.value("document.querySelector('th[data-key=score]').getAttribute('aria-sort')") == "descending"
    window.click("tr.row .fold")
    assert "column 12, row 7" in window.value("document.querySelector('tr.evidence').textContent")
    window.click("tr.row .fold")
    assert window.value("document.querySelectorAll('tr.evidence').length") == 0
    assert window.value("document.querySelector('tr.rejected .mark').textContent") == "rejected"


@needs_browser
def test_without_the_video_everything_else_works(window: Browser, folder: Path) -> None:
    window.open(folder / "broken.html")
    window.wait_for("!document.getElementById('absent').hidden")

    assert "tape 7.ts is not where this page expects it" in window.value("document.getElementById('absent').textContent")
    window.press("n")
    assert window.value("player.time") == 640
    assert window.value("document.getElementById('still').dataset.at") != "30"
    assert "480.0 s of the file could not be decoded" in window.value("document.getElementById('notice').textContent")
    assert "93.3 %" in window.value("document.getElementById('facts').textContent")
    window.value("timeline.show(880, 300)")
    window.hover("#canvas", 0.3)
    window.wait_for("document.getElementById('tip').textContent.includes('Not decoded: the pictures are damaged')")


@needs_browser
def test_a_page_of_nothing_says_so(window: Browser, folder: Path) -> None:
    window.open(folder / "empty.html")

    text = window.value("document.getElementById('notice').innerText")
    assert "Nothing was found." in text and "All 14 s of the file were looked at for ads and anomalies." in text
    assert window.value("document.querySelectorAll('tr.row').length") == 0


@needs_browser
def test_hostile_text_stays_text(window: Browser, folder: Path) -> None:
    window.open(folder / "hostile.html")

    assert window.value("document.querySelector('h1').textContent") == reports.hostile().name
    assert window.value("document.querySelectorAll('img[src=x], main script, .label i').length") == 0


@needs_browser
@pytest.mark.parametrize(
    ("page", "width"), [("film", 360), ("film", 768), ("film", 1400), ("hostile", 360), ("broken", 360), ("empty", 360)]
)
def test_nothing_overflows(window: Browser, folder: Path, page: str, width: int) -> None:
    window.open(folder / f"{page}.html", width=width)
    assert window.value("document.documentElement.scrollWidth") <= width


def contrast(one: str, other: str) -> float:
    """Of two colours as #rrggbb, as WCAG defines it."""

    def light(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


@needs_browser
def test_text_can_be_read_against_its_ground(window: Browser, folder: Path) -> None:
    """WCAG AA: 4.5 to 1 for all small text that the style names."""
    pairs = ("ink card", "ink page", "muted card", "muted page", "muted well", "accent card", *(f"{s} {s}-soft" for s in Status))
    colours = "(names => names.map(n => getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim()))"
    for scheme in ("light", "dark"):
        window.open(folder / "clip.html", scheme=scheme)
        for pair in pairs:
            assert contrast(*window.value(f"{colours}({pair.split()})")) >= 4.5, (scheme, pair)


@needs_browser
def test_no_page_complained_or_went_online(window: Browser, folder: Path) -> None:
    for page in ("film", "clip", "empty", "broken", "hostile"):
        window.open(folder / f"{page}.html")
    window.wait_for("document.getElementById('name').textContent")

    assert expected_problems(window.problems) == []
    assert {urlsplit(address).scheme for address in window.requests} <= {"file", "data", "about"}
