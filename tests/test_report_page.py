"""The report in a browser: what a user can click does what it says, and nothing is loaded."""

import shutil
from pathlib import Path

import pytest
from report_run import BASE, NASTY, Kind, add_trial, grid, make_run

from analysis import load_sweep
from analysis.report import report_html

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")

COLOUR, GRAY = Kind(), Kind(size=(40, 24), channels=1, truth=False)
SOFTWARE_WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
LOCAL = ("file:", "data:", "blob:")


class Watched:
    """A page, with whatever it logs as an error or asks the network for in `complaints`."""

    def __init__(self, browser, path: Path, **size: int) -> None:
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 900} | size)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", self._request)
        self.page.on("dialog", lambda dialog: self.complaints.append("a dialog opened"))
        self.page.goto(path.as_uri())
        self.page.wait_for_function("window.Plotly !== undefined")

    def _console(self, message) -> None:
        if message.type in ("error", "assert"):
            self.complaints.append(message.text)

    def _request(self, request) -> None:
        if not request.url.startswith(LOCAL):
            self.complaints.append(request.url)

    def scroll_through(self) -> None:
        """Every section into view, so that all of its figures are drawn."""
        for section in self.page.query_selector_all("main section"):
            if section.is_visible():
                section.scroll_into_view_if_needed()
        self.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        self.page.wait_for_timeout(200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def study(folder) -> Path:
    """The report on two pictures, with a failed trial whose reason is markup."""
    store = make_run(folder / "study", {"colour": COLOUR, "gray": GRAY}, grid())
    reason = f"no memory {NASTY}"
    add_trial(store, "colour", COLOUR, BASE.replace(seed=7), outcome="FAILED", reason=reason)
    add_trial(store, "colour", COLOUR, BASE.replace(seed=8), outcome="DIVERGED", run=50)
    return saved(store, folder / "study.html")


def saved(store, path: Path) -> Path:
    path.write_text(report_html(load_sweep(store)))
    return path


@pytest.fixture(scope="module")
def launch():
    with playwright.sync_playwright() as driver:
        opened = []

        def start(*flags: str):
            options = ["--no-sandbox", *flags]
            opened.append(driver.chromium.launch(executable_path=CHROMIUM, args=options))
            return opened[-1]

        yield start
        for browser in opened:
            browser.close()


@pytest.fixture(scope="module")
def browser(launch):
    return launch(*SOFTWARE_WEBGL)


@pytest.fixture
def watched(browser, study):
    watched = Watched(browser, study)
    yield watched
    watched.page.close()
    assert watched.complaints == []


def column(page, title: str) -> list[str]:
    """The texts of a column of the leaderboard, rows that are filtered out left out."""
    heads = page.locator("#board thead th").all_inner_texts()
    at = next(place for place, head in enumerate(heads) if head.strip() == title)
    rows = page.locator("#board tbody tr:visible")
    return [row.locator("td").nth(at).inner_text() for row in rows.all()]


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace(",", "")) for text in texts if text != "–"]


def shown(page, figure: str) -> dict:
    """The layout's axes and the traces that plotly has drawn."""
    page.locator(f"#{figure}").scroll_into_view_if_needed()
    page.wait_for_function(f"document.getElementById('{figure}').data !== undefined")
    return page.evaluate(
        f"""(() => {{ const box = document.getElementById('{figure}');
        return {{x: box.layout.xaxis.type, y: box.layout.yaxis.type,
                 title: box.layout.yaxis.title.text,
                 lines: box.data.length, first: box.data.at(-1).y.slice(0, 3)}}; }})()"""
    )


def test_the_whole_page_draws_without_a_complaint(watched):
    watched.scroll_through()
    page = watched.page
    for figure in ("curve", "parallel", "path", "rate", "seed"):
        assert page.locator(f"#{figure}-figure .main-svg").count() > 0, figure
    assert page.locator("#factor-body .main-svg").count() > 0
    assert page.locator("#run-name").inner_text() == "study"
    assert page.title().startswith("study")
    missing = "[...document.images].filter((each) => !each.alt && each.id !== 'zoom-image').length"
    assert page.evaluate(missing) == 0


def test_a_click_on_a_heading_sorts(watched):
    page = watched.page
    heading = page.locator("#board th", has_text="peak at")
    title = heading.inner_text().strip()
    page.get_by_role("button", name=title, exact=True).click()
    assert heading.get_attribute("aria-sort") == "ascending"
    values = numbers(column(page, title))
    assert len(set(values)) > 1
    assert values == sorted(values)
    assert column(page, title)[-1] == "–"
    page.get_by_role("button", name=title, exact=True).press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(column(page, title)) == sorted(values, reverse=True)
    assert column(page, title)[-1] == "–"
    assert page.locator("#board th[aria-sort=none]").count() > 1
    page.get_by_role("button", name="configuration", exact=True).click()
    texts = column(page, "configuration")
    assert texts.index("lr 0.003") < texts.index("lr 0.01") < texts.index("lr 0.03")


def test_the_filter_and_all_columns(watched):
    page = watched.page
    before = len(column(page, "configuration"))
    page.fill("#board-filter", "FAILED memory")
    (failed,) = column(page, "ended by")
    assert failed == f"failed: no memory {NASTY}"
    assert page.locator("#board-count").inner_text() == f"1 of {before} rows"
    page.fill("#board-filter", "lr=0.03")
    assert len(column(page, "configuration")) == 2
    page.check("#board-all")
    assert set(column(page, "lr")) == {"0.03"}
    page.fill("#board-filter", "")
    assert len(column(page, "configuration")) == before
    methods = page.locator("#board tr.method")
    assert methods.count() == 2
    assert "known method" in methods.first.inner_text()
    plain = page.locator("#board tbody tr:not(.method) td").first
    style = "(each) => getComputedStyle(each).fontStyle"
    assert methods.first.locator("td").first.evaluate(style) != plain.evaluate(style)


def test_more_columns_keep_the_order(watched):
    page = watched.page
    heading = page.get_by_role("button", name="iterations", exact=True)
    heading.click()
    heading.click()
    ranks = column(page, "#")
    assert numbers(ranks) != sorted(numbers(ranks))
    page.check("#board-all")
    assert column(page, "#") == ranks
    assert page.locator("#board th[aria-sort=descending]").inner_text().strip() == "iterations"
    page.get_by_role("button", name="lr", exact=True).click()
    page.uncheck("#board-all")  # the column is gone, and its order
    assert page.locator("#board th[aria-sort=ascending]").inner_text().strip() == "#"
    page.get_by_role("button", name="iterations", exact=True).click()
    page.select_option("#problem", label="gray")
    assert page.locator("#board th[aria-sort=ascending]").inner_text().strip() == "#"


def test_figures_have_names(watched):
    page = watched.page
    watched.scroll_through()
    drawn = page.locator(".js-plotly-plot:visible")
    assert drawn.count() >= 5
    for box in drawn.all():
        assert box.get_attribute("role") == "img"
        assert box.get_attribute("aria-label")
    curves = page.locator("#curve-figure")
    assert curves.get_attribute("aria-label") == "Curves: PSNR (dB) over iterations"
    page.select_option("#curve-column", label="loss")
    assert curves.get_attribute("aria-label") == "Curves: loss over iterations"


def test_a_tenfold_rate_has_its_table(watched):
    table = watched.page.locator("#rate-tables table").nth(1)
    assert "change for a tenfold learning rate" in table.locator("caption").inner_text()
    assert table.locator("tbody tr").count() > 1


def test_without_plotly_the_figures_say_so(browser, study, folder):
    text = study.read_text()
    before, mark, rest = text.partition('<script id="plotly" type="text/plain">')
    _, end, after = rest.partition("</script>")
    path = folder / "no_plotly.html"
    path.write_text(before + mark + "void 0;" + end + after)
    page = browser.new_page()
    page.goto(path.as_uri())
    figure = page.locator("#curve-figure")
    figure.scroll_into_view_if_needed()
    page.wait_for_function("document.getElementById('curve-figure').textContent !== ''")
    assert "cannot be drawn" in figure.inner_text()
    page.select_option("#curve-column", label="loss")
    assert figure.locator("p").count() == 1
    assert page.locator("#board tbody tr").count() > 2
    page.close()


def test_text_from_files_is_no_markup(watched):
    page = watched.page
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("#board b").count() == 0


def test_the_curves_change_column_and_axes(watched):
    page = watched.page
    first = shown(page, "curve-figure")
    assert (first["x"], first["y"]) == ("log", "linear")
    assert first["title"] == "PSNR (dB)"
    page.uncheck("#curve-log-x")
    page.select_option("#curve-column", label="total variation (1/px)")
    other = shown(page, "curve-figure")
    assert (other["x"], other["title"]) == ("linear", "total variation (1/px)")
    assert other["first"] != first["first"]
    assert other["lines"] == first["lines"]
    page.check("#curve-log-y")
    assert shown(page, "curve-figure")["y"] == "log"
    page.select_option("#curve-column", label="loss")
    assert shown(page, "curve-figure")["y"] == "log"  # as it is best read


def test_hovering_names_the_configuration(watched):
    page = watched.page
    shown(page, "curve-figure")
    texts = page.evaluate(
        "document.getElementById('curve-figure').data.map((each) => each.text[0])"
    )
    assert any(text.startswith("#1 lr 0.01") for text in texts)


def test_the_slider_changes_picture_and_numbers(watched):
    page = watched.page
    slider, image = page.locator("#film-at"), page.locator("#film-shots img").first
    slider.scroll_into_view_if_needed()
    seen = set()
    for place in range(int(slider.get_attribute("max")) + 1):
        slider.fill(str(place))
        seen.add((image.get_attribute("src"), page.locator("#film-note").inner_text()))
    assert len({source for source, _ in seen}) == len({note for _, note in seen}) == 4
    assert all("PSNR" in note and "TV" in note for _, note in seen)
    assert image.get_attribute("alt") == "output at iteration 400"
    slider.press("ArrowLeft")
    assert image.get_attribute("alt") != "output at iteration 400"


def test_pictures_of_a_trial_that_is_clicked(watched):
    page = watched.page
    page.locator("#board button.link").nth(2).click()
    key = "#side-shots figure[data-key$='/final']"
    wanted = page.evaluate("document.querySelectorAll('#board button.link')[2].title")
    trial = page.locator(key).get_attribute("data-key").split("/")[0]
    assert wanted.endswith(trial)
    page.locator(f"{key} button").click()
    assert page.locator("#zoom").evaluate("(each) => each.open")
    assert page.locator("#zoom-title").inner_text().startswith("output at the end")
    page.keyboard.press("Escape")
    page.select_option("#sheet-kind", label="output at the end")
    assert page.locator("#sheet figure").count() == 7


def test_another_picture_without_the_truth(watched):
    page = watched.page
    assert page.locator("#overview tbody tr").count() == 2
    page.select_option("#problem", label="gray")
    assert page.locator("#board caption").inner_text() == "gray, ranked by loss at the end"
    assert not page.locator("#paths").is_visible()
    assert not page.locator("nav a[href='#paths']").is_visible()
    assert shown(page, "curve-figure")["title"] == "loss"
    watched.scroll_through()
    assert page.locator("#side-shots figure[data-key$='/reference']").count() == 0
    page.select_option("#problem", label="colour")
    assert page.locator("#paths").is_visible()
    assert shown(page, "curve-figure")["title"] == "PSNR (dB)"


def test_without_webgl_the_page_says_so(launch, study):
    watched = Watched(launch("--disable-gpu", "--disable-3d-apis"), study)
    watched.scroll_through()
    assert "needs WebGL" in watched.page.locator("#parallel-figure").inner_text()
    assert watched.complaints == []


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_nothing_is_wider_than_the_window(browser, study, width):
    watched = Watched(browser, study, width=width)
    watched.scroll_through()
    watched.page.check("#board-all")
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    assert watched.complaints == []


@pytest.mark.parametrize("trials", [0, 1])
def test_a_run_with_next_to_nothing(browser, folder, trials):
    store = make_run(folder / f"few{trials}", {"colour": COLOUR}, grid()[:trials])
    watched = Watched(browser, saved(store, folder / f"few{trials}.html"))
    watched.scroll_through()
    assert watched.page.locator("#leaderboard").is_visible()
    assert watched.page.locator("#curves").is_visible() == (trials > 0)
    assert watched.complaints == []


def test_two_hundred_trials_fit(browser, folder):
    kind = Kind(size=(96, 96))
    base = BASE.replace(snapshots=2, iterations=200)
    configs = [base.replace(features=4 + place // 5, seed=place % 5) for place in range(200)]
    path = saved(make_run(folder / "many", {"colour": kind}, configs), folder / "many.html")
    assert path.stat().st_size < 15_000_000
    watched = Watched(browser, path)
    watched.scroll_through()
    page = watched.page
    assert page.locator("#board tbody tr").count() == 202
    assert page.evaluate("document.getElementById('curve-figure').data.length") == 8
    assert page.locator("#sheet figure").count() == 200
    assert watched.complaints == []
