"""Pages as a browser shows them: Chromium or Chrome, started once. `-m "not browser"` leaves these tests out.

No browser is downloaded: the one that is installed opens files of this machine and nothing else.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.report.page import Section, Table
from harness.report.render.render import render
from tests.support.sample_pages import PICTURE, cell, figures, small_report, with_text

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APPLICATIONS = tuple(Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in ("Chromium", "Google Chrome"))
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def installed():
    browser_path = next(filter(None, map(shutil.which, NAMES)), None)
    browser_path = browser_path or next((str(path) for path in APPLICATIONS if path.exists()), None)
    assert browser_path, (
        f"none of {', '.join(NAMES)} is installed; install Chromium or Chrome, or give pytest -m 'not browser'"
    )
    return browser_path


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only here, so that the others need no browser

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=installed(), args=FLAGS)
        yield browser
        browser.close()


def wide_report():
    """With more columns than fit, words that cannot be broken, and an answer nobody has opened."""
    columns = ("metric", *(f"model-{at}/a-long-adapter-name" for at in range(9)))
    row = (cell("decode_tokens_per_s"), *(figures(f"{at}.5 [{at}.25, {at}.75] tok/s (10×3)", at) for at in range(9)))
    unbroken = (cell("x" * 300), *(cell("y" * 300) for _ in range(9)))
    original = small_report()
    wide = Section(name="wide", title="W" * 200, tables=(Table(columns=columns, rows=(row, unbroken)),))
    return replace(original, title="t" * 200, sections=(*original.sections, wide))


def hostile_report():
    return with_text(
        small_report(), "</style></title><script>alert(1)</script><img src=https://evil.example>\u202e", []
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, report in (("wide", wide_report()), ("hostile", hostile_report())):
        drawn = {chart.name: PICTURE for section in report.sections for chart in section.figures[:1]}
        (folder / f"{name}.html").write_text(render(report, "html", pictures=drawn), encoding="utf-8")
    return folder


class Opened:
    """A page in a browser's window, with all it asked for and all it complained of."""

    def __init__(self, browser, path, *, scheme="light", width=1280):
        self.url, self.requests, self.complaints = path.as_uri(), [], []
        self.page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(self.url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.close()

    def ask(self, expression):
        return self.page.evaluate(expression)

    def style(self, selector, name):
        return self.ask(f"getComputedStyle(document.querySelector('{selector}'))['{name}']")

    @property
    def fetched(self):
        return [url for url in self.requests if not url.startswith("data:")]


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [
        ("wide", "light", 1280),
        ("wide", "dark", 1600),
        ("wide", "light", 360),
        ("hostile", "light", 1600),
        ("hostile", "dark", 360),
    ],
)
def test_a_page_asks_for_nothing_complains_of_nothing_and_fits(browser, files, name, scheme, width):
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - as Playwright

    with Opened(browser, files / f"{name}.html", scheme=scheme, width=width) as opened:
        assert opened.ask("document.documentElement.scrollWidth") <= width
        assert opened.ask("[...document.images].every(its => its.naturalWidth > 0)")
        assert opened.style(".banners", "borderLeftWidth") == "5px"  # the style is allowed and in force
        faults = Axe().run(opened.page).response["violations"]
        assert [fault["id"] for fault in faults if fault["impact"] in {"serious", "critical"}] == []
        assert (opened.fetched, opened.complaints) == ([opened.url], [])


def test_dark_is_dark(browser, files):
    grounds = []
    for scheme in ("light", "dark"):
        with Opened(browser, files / "wide.html", scheme=scheme) as opened:
            grounds.append(opened.style("body", "backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]


def test_a_wide_table_scrolls_by_itself_and_keeps_its_first_column_in_sight(browser, files):
    with Opened(browser, files / "wide.html", width=360) as opened:
        region = "document.querySelector('#wide .wide')"
        assert opened.ask(f"{region}.scrollWidth > {region}.clientWidth")
        opened.ask(f"{region}.scrollLeft = 500")
        assert opened.ask(f"{region}.scrollLeft") == 500
        left = "document.querySelector('#wide tbody th').getBoundingClientRect().left"
        assert opened.ask(left) == opened.ask(f"{region}.getBoundingClientRect().left")


def test_a_footnote_leads_to_its_note_and_back(browser, files):
    with Opened(browser, files / "wide.html") as opened:
        opened.page.click("#mark-inference-1-2")
        assert opened.ask("document.querySelector(':target').textContent").startswith("It broke | early.")
        opened.page.click(":target a")
        assert opened.ask("document.querySelector(':target').id") == "mark-inference-1-2"


def test_paper_shows_what_is_folded_and_no_contents(browser, files):
    with Opened(browser, files / "wide.html", scheme="dark", width=700) as opened:
        height = "document.querySelector('details').getBoundingClientRect().height"
        folded = opened.ask(height)
        opened.page.emulate_media(media="print")
        assert opened.ask(height) > 3 * folded
        assert opened.style("nav", "display") == "none"
        assert opened.style("body", "backgroundColor") == "rgb(255, 255, 255)"
        assert opened.ask("document.documentElement.scrollWidth") <= 700
