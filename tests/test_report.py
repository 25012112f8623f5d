import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from made_sweep import grid as score_grid
from made_sweep import made_sweep
from PIL import Image
from report_run import BASE, NASTY, Kind, add_problem, add_trial, grid, make_run, picture

from analysis import leaderboard, load_sweep
from analysis.effects import effects
from analysis.names import UnknownNameError
from analysis.palette import GREY, OKABE_ITO
from analysis.report import report_html, write_report
from analysis.report.content import page_content
from analysis.report.curves import path_ends
from analysis.report.factors import draw_effects, draw_importance
from analysis.report.page import as_json
from analysis.report.parallel import draw_parallel, parallel_data
from analysis.report.pictures import Shot, pack
from analysis.report.series import POINTS, curve_points
from dipray.errors import ConfigError, FolderError
from dipray.store import Store
from experiments.commands import ReportCommand
from experiments.report import run_report

COLOUR, GRAY, DEEP = Kind(), Kind(channels=1, truth=False), Kind(channels=4, bits=16)


class Elements(HTMLParser):
    """Every element's name and attributes, and the text of scripts by their id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs).get("id") or ""

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, data):
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two pictures, one of them without the truth, and what can go wrong with a trial."""
    root = tmp_path_factory.mktemp("report") / "study"
    store = make_run(root, {"colour": COLOUR, "gray": GRAY}, grid(), metric="psnr_ema_peak")
    failed, diverged = BASE.replace(seed=7), BASE.replace(seed=8)
    add_trial(store, "colour", COLOUR, failed, outcome="FAILED", reason=f"no memory {NASTY}")
    add_trial(store, "colour", COLOUR, diverged, outcome="DIVERGED", run=50)
    return load_sweep(store)


@pytest.fixture(scope="module")
def html(sweep):
    return report_html(sweep)


@pytest.fixture(scope="module")
def content(html):
    return json.loads(Elements(html).scripts["content"])


def part(content, name):
    return next(each for each in content["problems"] if each["name"] == name)


def test_the_page_loads_nothing_from_elsewhere(html):
    elements = Elements(html)
    for tag, attributes in elements.found:
        for name in ("src", "href", "data", "srcset", "action", "poster"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:", "#")), (tag, name, value[:80])
    policy = next(each["content"] for tag, each in elements.found if "http-equiv" in each)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    own = html.replace(elements.scripts["plotly"], "")
    assert not re.findall(r"https?://", own)
    assert "{{" not in own
    assert len(html.encode()) < 15_000_000


def test_names_from_files_cannot_leave_the_json(sweep, html):
    elements = Elements(html)
    assert "</script" not in as_json({"reason": NASTY})
    assert json.loads(as_json({"reason": NASTY})) == {"reason": NASTY}
    assert not [tag for tag, _ in elements.found if tag in ("b", "iframe")]
    assert not [each for _, each in elements.found if "onerror" in each]
    board = part(json.loads(elements.scripts["content"]), "colour")["board"]
    texts = [cell[0] for row in board["rows"] for cell in row["cells"]]
    assert f"failed: no memory {NASTY}" in texts


def test_plotly_shows_names_as_they_are(tmp_path):
    store = Store(tmp_path)
    store.write_json("sweep.json", {})
    methods = [{"method": NASTY, "psnr": 21.0, "seconds": 0.1, "picture": None}]
    add_problem(store, "one", COLOUR, methods)
    add_trial(store, "one", COLOUR, BASE)
    content, _ = page_content(load_sweep(store))
    names = content["problems"][0]["curves"]["levels"]["names"]
    assert [name["text"] for name in names] == [
        "&lt;img src=x onerror=alert(1)&gt;&lt;/script&gt;&lt;b&gt; 21.00"
    ]


def test_the_head_says_what_came_out(sweep, content):
    run = content["run"]
    assert run["name"] == "study"
    assert run["trials"] == 14
    assert [1, "failed"] in run["outcomes"]
    assert [1, "diverged"] in run["outcomes"]
    assert ["search", "grid"] in run["asked"]
    colour, gray = part(content, "colour"), part(content, "gray")
    best = leaderboard(sweep, metric="psnr_ema_peak").query("problem == 'colour'")
    best = best.dropna(subset="trial").iloc[0]
    assert colour["lines"][0]["trial"] == best["trial"]
    assert colour["headline"]["score"].startswith(f"{best['psnr_ema_peak']:.2f} dB, peak PSNR")
    gain = best["psnr_ema_peak"] - 20.0
    assert f"{gain:.2f} dB above the noisy input (20.00 dB)" in colour["headline"]["gain"]
    assert "non-local means (25.50 dB), the best known method" in colour["headline"]["gain"]
    assert "32 × 24 pixels" in colour["described"]
    assert "truth not known" in gray["described"]
    assert gray["headline"]["score"].endswith("loss at the end")
    assert "ranked by how closely they follow the measurement" in gray["headline"]["gain"]


def test_the_board_is_the_leaderboard(sweep, content):
    board = leaderboard(sweep, metric="psnr_ema_peak").query("problem == 'colour'")
    table = part(content, "colour")["board"]
    assert [row["trial"] for row in table["rows"]] == [
        None if pd.isna(trial) else trial for trial in board["trial"]
    ]
    keys = [column["key"] for column in table["columns"]]
    assert keys[:3] == ["rank", "configuration", "psnr_ema_peak"]
    assert {"lr", "seed", "tv_final"} <= set(keys)
    assert not next(column for column in table["columns"] if column["key"] == "lr")["shown"]
    at = keys.index("psnr_ema_peak")
    values = [row["cells"][at][1] for row in table["rows"]]
    np.testing.assert_allclose(
        [np.nan if value is None else value for value in values],
        board["psnr_ema_peak"].astype(float),
    )
    alarms = {row["alarm"] for row in table["rows"]}
    assert alarms == {"", "failed", "diverged"}
    assert len(table["rows"][0]["cells"]) == len(table["columns"])


def test_without_the_truth_there_is_no_psnr(content):
    gray = part(content, "gray")
    assert {column["name"] for column in gray["columns"]}.isdisjoint({"psnr", "psnr_ema"})
    assert gray["columns"][0]["name"] == "loss"
    assert gray["paths"] is None
    assert not any(column["key"].startswith("psnr") for column in gray["board"]["columns"])
    assert gray["board"]["metric"] == "loss_final"


def test_curves_keep_peaks_ends_and_few_points(sweep):
    trials = list(sweep.trials.query("problem == 'colour'").index)
    points = curve_points(sweep, trials)
    whole = sweep.traces(["psnr", "hf_energy"], trials)
    by_trial = points.groupby("trial")
    assert by_trial.size().max() <= POINTS
    peaks = sweep.trials.loc[list(by_trial.groups), "psnr_peak"]
    np.testing.assert_allclose(by_trial["psnr"].max(), peaks)
    lasts = whole.groupby("trial", observed=True)["iteration"].max()
    assert by_trial["iteration"].max().to_dict() == lasts.to_dict()
    assert by_trial["iteration"].min().eq(1).all()
    assert by_trial["hf_energy"].count().min() >= 5
    merged = points.merge(whole.astype({"trial": "str"}), on=["trial", "iteration"])
    assert len(merged) == len(points)
    pd.testing.assert_series_equal(merged["psnr_x"], merged["psnr_y"], check_names=False)


def test_curves_of_many_trials_have_fewer_points(sweep, monkeypatch):
    trials = list(sweep.trials.query("problem == 'colour'").index)
    monkeypatch.setattr("analysis.report.series.MOST_COLOURED", 2)
    monkeypatch.setattr("analysis.report.series._GREY_POINTS", 60 * (len(trials) - 2))
    points = curve_points(sweep, trials)
    sizes = points.groupby("trial").size().reindex(trials)  # NaN for one that failed
    assert sizes.iloc[2:].max() <= 60 < sizes.iloc[:2].max() <= POINTS
    peaks = sweep.trials["psnr_peak"].reindex(points["trial"].unique())
    np.testing.assert_allclose(points.groupby("trial", sort=False)["psnr"].max(), peaks)


def test_paths_end_at_the_best_and_the_last(sweep):
    trials = list(sweep.trials.query("problem == 'colour'").index)
    ends = path_ends(curve_points(sweep, trials)).pivot(index="trial", columns="place")
    numbers = sweep.trials.loc[ends.index]
    assert len(numbers) == 7
    np.testing.assert_allclose(ends[("psnr", "best")], numbers["psnr_peak"])
    np.testing.assert_allclose(ends[("psnr", "last")], numbers["psnr_final"])
    np.testing.assert_allclose(ends[("tv", "last")], numbers["tv_final"])


def test_the_best_seven_are_coloured_and_apart(content):
    colours = [line["colour"] for line in part(content, "colour")["lines"]]
    assert len(set(colours[:7])) == 7
    assert colours[7:] == [None]  # the failed one, which has no metric


def test_parallel_axes_are_the_varying_settings_and_the_metric(sweep):
    trials = sweep.trials.query("problem == 'colour'")
    data = parallel_data(trials, "psnr_ema_peak")
    assert list(data.columns) == ["lr", "seed", "psnr_ema_peak"]
    assert data["psnr_ema_peak"].is_monotonic_increasing
    assert len(data) == 7
    wide = trials.assign(lr=[10.0**-place for place in range(len(trials))])
    figure = draw_parallel(parallel_data(wide, "psnr_ema_peak"), "psnr_ema_peak")
    axis = figure["data"][0]["dimensions"][0]
    np.testing.assert_allclose(
        axis["values"], np.log10(parallel_data(wide, "psnr_ema_peak")["lr"]), atol=1e-5
    )
    assert draw_parallel(data.head(1), "psnr_ema_peak") is None


def test_figures_are_what_plotly_takes(content):
    colour = part(content, "colour")
    figures = [colour["parallel"], colour["seeds"]["figure"]]
    figures += [plot["figure"] for group in colour["rates"] for plot in group["plots"]]
    figures += [content["factors"]["effects"]["figure"]]
    for figure in figures:
        go.Figure(figure)  # raises on a property that does not exist
    marks = colour["paths"]["kinds"][0]["marks"]
    go.Figure({"data": marks, "layout": colour["paths"]["layout"]})
    go.Figure({"data": [], "layout": colour["curves"]["layout"]})


def test_rates_seeds_and_settings_are_there(content):
    colour = part(content, "colour")
    (group,) = colour["rates"]
    titles = [table["title"] for table in group["tables"]]
    assert titles[0] == "equal training loss"
    assert len(titles) == 3
    at_loss, *others = group["tables"]
    assert [table["slopes"] for table in others] == [None, None]
    heads, rows = at_loss["slopes"]["heads"], at_loss["slopes"]["rows"]
    assert heads[:5] == ["loss", "rates", "seeds", "PSNR, dB", "PSNR of average, dB"]
    assert "TV" in heads
    assert {row[0] for row in rows} <= {row[0] for row in at_loss["rows"]}
    assert len(rows) > 1
    assert all("%" in row[heads.index("TV")] and "(" in row[3] for row in rows)
    assert any(f"over {len(rows)} levels a tenfold" in text for text in at_loss["sentences"])
    assert group["plots"][0]["title"].startswith("total variation")
    assert [text for _, text in group["plots"][0]["legend"]] == ["lr 0.003", "lr 0.01", "lr 0.03"]
    assert colour["seeds"]["members"] == 2
    assert [name for name, _ in colour["seeds"]["psnr"]][:2] == ["seed 0", "seed 1"]
    assert content["factors"]["effects"]["sentences"]
    assert content["factors"]["effects"]["table"]["rows"][0][0] == "lr"


def test_the_film_shows_snapshots_with_their_numbers(sweep, content):
    colour = part(content, "colour")
    best = colour["lines"][0]["trial"]
    film = colour["gallery"]["film"]
    assert [frame["iteration"] for frame in film] == sweep.snapshots(best)
    traces = sweep.traces(["psnr"], [best]).set_index("iteration")["psnr"]
    for frame in film:
        assert f"PSNR {traces[frame['iteration']]:.2f} dB" in frame["note"]


def test_pictures_are_lossless_while_they_fit(sweep, html, content):
    album = json.loads(Elements(html).scripts["pictures"])
    assert album["note"] == ""
    colour = part(content, "colour")
    best = colour["lines"][0]["trial"]
    uri = album["by_key"][f"{best}/peak_ema"]
    assert base64.b64decode(uri.partition(",")[2]) == sweep.image(best, "peak_ema")
    keys = {each["key"] for each in colour["gallery"]["fixed"]}
    assert keys <= set(album["by_key"])
    assert {each["title"] for each in colour["gallery"]["fixed"]} == {
        *("noisy input", "truth", "non-local means")
    }
    assert "gray/problem/reference" not in album["by_key"]


@pytest.mark.parametrize("kind", [COLOUR, Kind(channels=1), DEEP, Kind(channels=1, bits=16)])
def test_pictures_are_packed_into_their_budget(kind):
    large = Kind((128, 96), kind.channels, kind.bits)
    shots = [Shot("main", lambda: picture(large, 0), main=True)]
    shots += [Shot(str(n), lambda n=n: picture(large, n)) for n in range(40)]
    whole = pack(shots, 10**9)
    assert (whole.lossy, whole.shrunk, whole.dropped) == (0, 0, 0)
    assert len(whole.pictures) == len(shots)
    budget = 3 * len(whole.pictures["main"])
    packed = pack(shots, budget)
    assert packed.weight <= budget
    assert packed.pictures["main"] == whole.pictures["main"]
    assert packed.shrunk > 0
    assert packed.dropped == 0
    assert packed.lossy == 40
    image = Image.open(io.BytesIO(base64.b64decode(packed.pictures["3"].partition(",")[2])))
    assert image.format == "WEBP"
    assert image.width < 96
    assert image.width / image.height == pytest.approx(96 / 128, rel=0.05)
    middle = np.asarray(image.convert("RGB"))[:, image.width // 2]
    assert 90 < middle.mean() < 165  # mid-gray: neither clipped nor cut to the high byte's noise
    assert ("A" in image.getbands()) == (kind.channels == 4)
    scarce = pack(shots, 9000)
    assert scarce.weight <= 9000
    assert scarce.dropped > 0


@pytest.mark.parametrize("budget", [10**9, 60_000, 9000])
def test_a_picture_is_read_once(budget):
    read = []

    def shot(name: str, *, main: bool = False) -> Shot:
        return Shot(name, lambda: read.append(name) or picture(Kind((96, 96)), 0), main=main)

    shots = [shot("main", main=True), *(shot(str(n)) for n in range(90))]
    assert pack(shots, budget).weight <= budget
    assert sorted(read) == sorted(each.key for each in shots)


def test_one_odd_picture_does_not_break_the_budget():
    shots = [Shot(str(n), lambda: picture(Kind((16, 16)), 0)) for n in range(64)]
    shots[33] = Shot("33", lambda: picture(Kind((400, 400)), 0))  # no sample has it
    packed = pack(shots, 40_000)
    assert packed.weight <= 40_000
    assert len(packed.pictures) == 64
    assert packed.dropped == 0


def test_pictures_that_cannot_be_read_are_passed_over():
    def broken() -> bytes:
        raise FolderError("gone")

    shots = [Shot("gone", broken), Shot("no png", lambda: b"GIF89a"), Shot("ok", lambda: b"")]
    assert "gone" not in pack(shots, 10**6).pictures
    assert pack(shots, 5).pictures == {}


def test_a_sweep_of_large_pictures_says_what_was_done_to_them(tmp_path):
    # noise hardly packs: 14 pictures of 3 MB each
    kind = Kind((512, 512), channels=4, bits=16)
    store = make_run(tmp_path, {"large": kind}, [BASE.replace(snapshots=2)])
    html = report_html(load_sweep(store))
    assert len(html.encode()) < 15_000_000
    album = json.loads(Elements(html).scripts["pictures"])
    assert "compressed with a small loss" in album["note"]
    assert len(album["by_key"]) == 2 + 1 + 4 + 2


@pytest.mark.parametrize("metric", ["ssim_final", "tv_final", "psnr_final", "loss_final"])
def test_another_metric(sweep, metric):
    content, _ = page_content(sweep, metric=metric)
    assert part(content, "gray")["board"]["metric"] in (metric, "loss_final")
    as_json(content)


def test_a_metric_that_nobody_knows_in_the_folder_is_passed_over(tmp_path):
    kinds = {"colour": COLOUR, "gray": GRAY}
    store = make_run(tmp_path, kinds, grid(), metric="happiness")
    content, _ = page_content(load_sweep(store))
    metrics = {name: part(content, name)["board"]["metric"] for name in kinds}
    assert metrics == {"colour": "psnr_peak", "gray": "loss_final"}
    title = content["factors"]["effects"]["figure"]["layout"]["xaxis"]["title"]["text"]
    assert "peak PSNR of the output" in title


@pytest.mark.parametrize("metric", ["psnr_peak", "loss_final"])
def test_effects_are_blue_where_the_first_value_is_better(tmp_path, metric):
    score = {0.003: 20.0, 0.03: 25.0, 0.3: 25.01}
    arms = [{"lr": lr} for lr in score]
    rows = score_grid(arms, lambda arm, _: score[arm["lr"]], metric=metric, noise=0.5)
    frame = effects(made_sweep(tmp_path, rows), metric=metric)
    figure = draw_effects(frame, metric)
    go.Figure(figure)
    marker = figure["data"][0]["marker"]
    blue, orange = OKABE_ITO[:2]
    first_is_better = {"psnr_peak": (orange, "triangle-down"), "loss_final": (blue, "triangle-up")}
    for place, row in enumerate(frame.to_dict("records")):
        look = marker["color"][place], marker["symbol"][place]
        if row["value"] == "0.003":
            assert look == first_is_better[metric]
        else:
            assert row["verdict"] == "not shown"
            assert look[1] == "circle-open"
    title = figure["layout"]["xaxis"]["title"]["text"]
    assert ("lower is better" in title) == (metric == "loss_final")


def test_the_plot_of_effects_shows_the_greatest_of_many():
    differences = [*np.linspace(0.1, 1, 45), -3.0]
    frame = pd.DataFrame({"difference": differences}).assign(
        factor="lr", value="1", versus="2", low=np.nan, high=np.nan, verdict="one seed"
    )
    frame.attrs = {"metric": "psnr_peak", "higher_is_better": True}
    shown = draw_effects(frame, "PSNR")["data"][0]["x"]
    np.testing.assert_allclose(shown, differences[6:])


@pytest.mark.parametrize("r2", [0.05, 0.9, np.nan])
def test_importances_are_grey_where_they_mean_nothing(r2):
    shares = pd.DataFrame({"setting": ["lr", "picture"], "importance": [0.5, 0.2], "std": 0.1})
    shares.attrs = {"r2": r2}
    figure = draw_importance(shares, "PSNR")
    go.Figure(figure)
    lr, of_picture = figure["data"][0]["marker"]["color"]
    assert of_picture == GREY
    assert (lr == OKABE_ITO[0]) == (r2 > 0.5)


def test_unknown_metric_is_refused(sweep):
    with pytest.raises(UnknownNameError, match="no metric 'fame'"):
        report_html(sweep, metric="fame")


def test_single_fit(tmp_path):
    store = make_run(tmp_path / "sweep", {"colour": COLOUR}, [BASE])
    (name,) = store.names("trials")
    sweep = load_sweep(store.child("trials", name))
    content, shots = page_content(sweep)
    (only,) = content["problems"]
    assert content["run"]["name"] == name
    assert only["headline"]["best"] == "the only configuration"
    assert only["parallel"] is None
    assert only["rates"] == []
    assert only["seeds"] == {}
    assert content["factors"].get("effects") is None
    titles = [table["title"] for table in content["origin"]["tables"]]
    assert "settings of the fit" in titles
    assert ["git_commit", "abc123"] in content["origin"]["tables"][2]["rows"]
    assert f"{name}/peak" in pack(shots, 10**6).pictures
    write_report(sweep)
    assert store.child("trials", name).read("report.html").startswith(b"<!doctype html>")


@pytest.mark.parametrize("outcome", ["FAILED", "RUNNING", "DIVERGED"])
def test_nothing_has_finished(tmp_path, outcome):
    store = make_run(tmp_path, {"colour": COLOUR}, [])
    for config in grid(seeds=1):
        add_trial(store, "colour", COLOUR, config, outcome=outcome, run=1)
    content, _ = page_content(load_sweep(store))
    (only,) = content["problems"]
    assert len(only["board"]["rows"]) == 3 + 2
    assert only["rates"] == []
    as_json(content)


def test_no_trials_at_all(tmp_path):
    Store(tmp_path).write_json("sweep.json", {"metric": "psnr_peak"})
    content, shots = page_content(load_sweep(tmp_path))
    assert content["problems"] == []
    assert shots == []
    assert report_html(load_sweep(tmp_path)).startswith("<!doctype html>")


def test_what_could_not_be_read_is_said(tmp_path):
    store = make_run(tmp_path, {"colour": COLOUR}, grid(seeds=1))
    broken, bare = store.names("trials")[:2]
    store.write(f"trials/{broken}/config.json", b"{")
    store.write(f"trials/{bare}/provenance.json", b"{")
    store.remove(f"trials/{bare}/peak.png")
    store.write(f"trials/{bare}/ema.png", b"no picture")
    content, shots = page_content(load_sweep(store))
    (line,) = content["origin"]["left_out"]
    assert line.startswith(f"trials/{broken}/config.json")
    there = pack(shots, 10**6).pictures
    assert f"{bare}/peak" not in there
    assert f"{bare}/ema" not in there
    assert f"{bare}/final" in there


def test_the_command_says_where_the_report_is(tmp_path, capsys):
    store = make_run(tmp_path / "run", {"colour": COLOUR}, grid(seeds=1))
    assert run_report(ReportCommand(str(tmp_path / "run"))) == 0
    path, _, size = capsys.readouterr().out.strip().partition("  ")
    assert path == f"{store}/report.html"
    assert size == f"{len(store.read('report.html')) / 1e6:.1f} MB"
    elsewhere = tmp_path / "page.html"
    run_report(ReportCommand(str(store), output=str(elsewhere), metric="psnr_final"))
    assert elsewhere.read_bytes().startswith(b"<!doctype html>")
    assert capsys.readouterr().out.startswith(f"{elsewhere}  ")


@pytest.mark.parametrize(
    ("output", "said"), [("new/page.html", "there is no folder"), (".", "is a folder")]
)
def test_the_command_refuses_an_output_in_one_line(tmp_path, monkeypatch, output, said):
    make_run(tmp_path / "run", {"colour": COLOUR}, grid(seeds=1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said) as refused:
        run_report(ReportCommand("run", output=output))
    assert str(refused.value).startswith(f"output={output}: ")
    assert "\n" not in str(refused.value)
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_report_goes_beside_the_run(tmp_path):
    store = make_run(tmp_path, {"colour": COLOUR}, grid(seeds=1))
    size = write_report(load_sweep(store), file="other.html", metric="psnr_peak")
    assert len(store.read("other.html")) == size
    assert store.read("other.html").startswith(b"<!doctype html>")
    assert not store.exists("report.html")
