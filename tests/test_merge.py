"""Folders of the same study read as one sweep."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_sweep import BASE as MADE
from made_sweep import made_sweep
from report_run import BASE, Kind, add_problem, add_trial, grid, make_run, picture

from analysis import (
    iterations_saved,
    leaderboard,
    load_sweep,
    report_html,
    write_figures,
    write_report,
    write_tables,
)
from analysis.effects import effects
from analysis.leaderboard import ranking_metric
from dipray.errors import ConfigError, FolderError
from dipray.folder import trial_id
from dipray.store import Store
from experiments.cli import main
from experiments.commands import ReportCommand, ShowCommand
from experiments.report import run_report
from experiments.show import run_show

KIND = Kind()
PSNR = {"psnr_peak": 25.0, "psnr_ema_peak": 26.0, "loss_final": 0.01}


def halves(root: Path) -> tuple[Store, Store, Store]:
    """A study of six fits in one folder, and the same in two, half of it in each."""
    whole = make_run(root / "whole", {"p": KIND}, grid())
    one = make_run(root / "one", {"p": KIND}, grid()[:4])
    two = make_run(root / "two", {"p": KIND}, grid()[2:])
    return whole, one, two


def test_two_halves_are_the_whole(tmp_path):
    whole, one, two = halves(tmp_path)
    want, have = load_sweep(whole), load_sweep(str(one), two)
    pd.testing.assert_frame_equal(have.trials.sort_index(), want.trials.sort_index())
    pd.testing.assert_frame_equal(have.problems, want.problems)
    pd.testing.assert_frame_equal(have.baselines, want.baselines)
    trials = sorted(want.trials.index)
    pd.testing.assert_frame_equal(have.traces(trials=trials), want.traces(trials=trials))
    for trial in trials:
        assert have.image(trial, "final") == want.image(trial, "final")
        assert have.snapshots(trial) == want.snapshots(trial) != []
        at = have.snapshots(trial)[-1]
        assert have.snapshot(trial, at) == want.snapshot(trial, at)
        assert have.provenance(trial) == want.provenance(trial) != {}
    assert have.problem_image("p", "reference") == want.problem_image("p", "reference")
    assert have.left_out == want.left_out == []
    assert have.asked == want.asked
    pd.testing.assert_frame_equal(leaderboard(have), leaderboard(want))
    pd.testing.assert_frame_equal(effects(have), effects(want))
    assert iterations_saved(have) == iterations_saved(want)
    assert [str(each) for each in have.stores] == [str(one), str(two)]
    assert repr(have) == f"Sweep('{one}', '{two}', 6 trials)"


def test_a_folder_given_twice_is_one(tmp_path, monkeypatch):
    one = make_run(tmp_path / "one", {"p": KIND}, grid())
    monkeypatch.chdir(tmp_path)
    sweep = load_sweep(one, "one")
    assert sweep.stores == (one,)
    assert sweep.home is one


def test_a_sweep_and_another_that_is_three(tmp_path):
    rows = [{"problem": "p", "seed": seed, **PSNR} for seed in range(6)]
    places = [tmp_path / name for name in "abc"]
    for place, ours in zip(places, (rows[:2], rows[1:4], rows[4:]), strict=True):
        made_sweep(place, ours)
    sweep = load_sweep(*places)
    assert sorted(sweep.trials["seed"]) == list(range(6))
    assert len(sweep.stores) == 3


UNENDED = ["INTERRUPTED", "FAILED", "RUNNING"]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("less", "more"),
    [
        *(({"outcome": each}, {"outcome": "BUDGET"}) for each in UNENDED),
        ({"outcome": "RUNNING", "iterations_run": 99}, {"outcome": "DIVERGED"}),
        ({"outcome": "INTERRUPTED", "iterations_run": 99}, {"outcome": "STOPPED"}),
        ({"outcome": "STOPPED", "iterations_run": 4}, {"outcome": "STOPPED", "iterations_run": 9}),
        ({"outcome": "FAILED", "iterations_run": None}, {"outcome": "FAILED"}),
        ({"outcome": "INTERRUPTED", "iterations_run": 4}, {"outcome": "FAILED"}),
    ],
)
def test_of_doubles_the_furthest_counts(tmp_path, less, more, order):
    row = {"problem": "p", **PSNR, "iterations_run": 50}
    made_sweep(tmp_path / "a", [row | less])
    made_sweep(tmp_path / "b", [row | more])
    sweep = load_sweep(*[tmp_path / "a", tmp_path / "b"][::order])
    (found,) = sweep.trials.to_dict("records")
    for name, value in ({"iterations_run": 50} | more).items():
        assert found[name] == value
    assert sweep.left_out == []


def test_of_equal_doubles_the_first_counts(tmp_path):
    one = make_run(tmp_path / "one", {"p": KIND}, grid()[:1])
    two = make_run(tmp_path / "two", {"p": KIND}, grid()[:1])
    (trial,) = load_sweep(one).trials.index
    other = picture(KIND, 77)
    two.child("trials", trial).write("final.png", other)
    sweep = load_sweep(one, two)
    assert sweep.image(trial, "final") != other
    assert load_sweep(two, one).image(trial, "final") == other
    assert sweep.left_out == []


def test_traces_and_pictures_are_those_of_the_furthest(tmp_path):
    one = make_run(tmp_path / "one", {"p": KIND}, [])
    config = grid()[0]
    add_trial(one, "p", KIND, config, outcome="INTERRUPTED", run=30)
    two = make_run(tmp_path / "two", {"p": KIND}, [config])
    sweep = load_sweep(one, two)
    (trial,) = sweep.trials.index
    assert len(sweep.traces("psnr")) == config.iterations
    assert sweep.snapshots(trial) == load_sweep(two).snapshots(trial)


def test_finished_doubles_that_disagree_are_said(tmp_path):
    row = {"problem": "p", **PSNR}
    made_sweep(tmp_path / "a", [row, row | {"seed": 1}])
    made_sweep(tmp_path / "b", [row | {"psnr_peak": 24.9}, row | {"seed": 1}])
    sweep = load_sweep(tmp_path / "a", tmp_path / "b")
    trial = trial_id("p", "", MADE)
    assert sweep.trials.loc[trial, "psnr_peak"] == 25.0
    assert sweep.left_out == [
        f"{tmp_path}/b: trials/{trial}: left out, although it has other psnr_peak than in "
        f"{tmp_path}/a"
    ]


def test_a_folder_of_the_same_name_with_other_settings_is_said(tmp_path):
    row = {"problem": "p", **PSNR}
    made_sweep(tmp_path / "a", [row])
    made_sweep(tmp_path / "b", [row])
    trial = trial_id("p", "", MADE)
    place = Store(tmp_path / "b").child("trials", trial)
    place.write_json("config.json", MADE.replace(lr=0.5).to_dict())
    (line,) = load_sweep(tmp_path / "a", tmp_path / "b").left_out
    assert line.startswith(f"{tmp_path}/b: trials/{trial}: left out, although it has other lr")


def test_complaints_begin_with_their_folder(tmp_path):
    _, one, two = halves(tmp_path)
    broken = sorted(Path(str(two), "trials").iterdir())[-1]
    (broken / "config.json").write_text("{")
    (Path(str(one)) / "sweep.json").write_text("[]")
    (Path(str(two)) / "problems/p/baselines.json").write_text("3")
    kept = next(iter(load_sweep(one).trials.index))
    (Path(str(one)) / f"trials/{kept}/trace.parquet/part-00000.parquet").write_bytes(b"PAR1")
    said = load_sweep(one, two).left_out
    assert [line.partition(" ")[0] for line in said] == [f"{one}:", *[f"{two}:"] * 2, f"{one}:"]
    assert [line.split(" ")[1] for line in said] == [
        "sweep.json:",
        f"trials/{broken.name}/config.json:",
        "problems/p/baselines.json:",
        f"trials/{kept}/trace.parquet/part-00000.parquet:",
    ]


def test_another_picture_of_the_same_name_is_refused(tmp_path):
    one = make_run(tmp_path / "one", {"p": KIND, "q": KIND}, grid()[:1])
    two = make_run(tmp_path / "two", {"p": KIND, "q": KIND}, grid()[1:2])
    described = two.child("problems", "q").read_json("problem.json")
    two.child("problems", "q").write_json("problem.json", described | {"fingerprint": "other"})
    with pytest.raises(FolderError, match="'q' is not the same in both") as refused:
        load_sweep(one, two)
    assert str(refused.value).startswith(f"{one} and {two}: ")
    assert "\n" not in str(refused.value)


def test_another_picture_known_from_a_trial_alone_is_refused(tmp_path):
    one, two = (make_run(tmp_path / name, {"p": KIND}, grid()[:1]) for name in ("one", "two"))
    two.remove("problems")
    (trial,) = two.names("trials")
    two.child("trials", trial).write_json("problem.json", {"name": "p", "fingerprint": "other"})
    with pytest.raises(FolderError, match="'p' is not the same in both"):
        load_sweep(one, two)


def test_other_pictures_stand_side_by_side(tmp_path):
    one = make_run(tmp_path / "one", {"p": KIND}, grid()[:2])
    two = make_run(tmp_path / "two", {"q": Kind(truth=False)}, grid()[:2])
    sweep = load_sweep(one, two)
    assert list(sweep.problems["name"]) == ["p", "q"]
    assert sweep.problem_image("q", "measurement").startswith(b"\x89PNG")
    with pytest.raises(FolderError, match="no picture 'reference'"):
        sweep.problem_image("q", "reference")
    assert len(sweep.trials) == 4


def test_known_methods_are_those_of_all_each_once(tmp_path):
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    methods = [
        {"method": name, "psnr": psnr, "seconds": 0.1, "picture": f"{name}.png"}
        for name, psnr in (("input", 20.0), ("nlm", 25.0), ("tv", 24.0))
    ]
    for store, ours in ((one, methods[:2]), (two, [methods[1] | {"psnr": 99.0}, methods[2]])):
        store.write_json("sweep.json", {})
        add_problem(store, "p", KIND, ours)
        add_trial(store, "p", KIND, BASE)
    sweep = load_sweep(one, two)
    assert sweep.baselines.set_index("method")["psnr"].to_dict() == {
        "input": 20.0,
        "nlm": 25.0,
        "tv": 24.0,
    }
    assert sweep.problem_image("p", "tv.png") == two.child("problems", "p").read("tv.png")
    assert list(leaderboard(sweep)["method"]) == ["dip", "nlm", "tv", "input"]


def test_metrics_that_disagree_are_said(tmp_path):
    rows = [{"problem": "p", "seed": seed, **PSNR} for seed in (0, 1)]
    made_sweep(tmp_path / "a", rows[:1], asked={"metric": "loss_final", "name": "first"})
    made_sweep(tmp_path / "b", rows[1:], asked={"metric": "psnr_peak"})
    sweep = load_sweep(tmp_path / "a", tmp_path / "b")
    assert sweep.asked["name"] == "first"
    assert ranking_metric(sweep) == "loss_final"
    (line,) = sweep.left_out
    assert line.startswith("sweep.json: the metrics are not the same (loss_final in ")
    assert ranking_metric(load_sweep(tmp_path / "b", tmp_path / "a")) == "psnr_peak"


def test_single_fits_are_known_by_their_hash(tmp_path):
    sweep = make_run(tmp_path / "sweep", {"p": KIND}, grid()[:2])
    first, second = sweep.names("trials")
    # as `dipray fit --save-dir` leaves them, in folders of the same name
    fits = [tmp_path / "monday/fit", tmp_path / "tuesday/fit"]
    for trial, fit in zip((first, second), fits, strict=True):
        shutil.copytree(Path(str(sweep)) / "trials" / trial, fit)
        described = sweep.child("problems", "p").read_json("problem.json")
        Store(fit).write_json("problem.json", described)
    both = load_sweep(*fits)
    assert sorted(both.trials.index) == [first, second]
    assert both.image(second, "final") == load_sweep(sweep).image(second, "final")
    assert len(load_sweep(sweep, *fits).trials) == 2
    assert both.asked == {}
    assert load_sweep(fits[0], sweep).asked == load_sweep(sweep).asked
    assert "monday/fit + " in report_html(both)


def test_chosen_and_regret_are_of_all_folders(tmp_path):
    row = {"problem": "p", "psnr_ema_at_val_peak": 24.0}
    one = row | {"seed": 0, "val_psnr_ema_peak": 20.0, "psnr_peak": 30.0}
    two = row | {"seed": 1, "val_psnr_ema_peak": 21.0, "psnr_peak": 25.0}
    made_sweep(tmp_path / "a", [one])
    made_sweep(tmp_path / "b", [two])
    trials = load_sweep(tmp_path / "a", tmp_path / "b").trials.set_index("seed")
    assert trials["chosen"].to_dict() == {0: False, 1: True}
    assert trials.loc[1, "regret_chosen"] == 6.0
    assert np.isnan(trials.loc[0, "regret_chosen"])


def test_what_is_written_goes_where_it_is_told(tmp_path):
    _, one, two = halves(tmp_path)
    sweep = load_sweep(one, two)
    before = [one.names(), two.names()]
    for write in (write_tables, write_figures, write_report):
        with pytest.raises(FolderError, match="several folders; say where to write"):
            write(sweep)
    out = Store(tmp_path / "out")
    write_tables(sweep, store=out)
    write_report(sweep, store=out)
    assert write_figures(sweep, store=out)[0].startswith("figures/p/")
    assert out.names() == ["figures", "report.html", "trials.csv", "trials.parquet"]
    assert len(pd.read_csv(tmp_path / "out/trials.csv")) == 6
    assert [one.names(), two.names()] == before


def test_the_report_is_of_both(tmp_path):
    _, one, two = halves(tmp_path)
    one.write("restored.png", picture(KIND, 1))  # of a part, so not of the whole
    page = report_html(load_sweep(one, two))
    assert "<title>one + two – dipray report</title>" in page
    assert '"trials":6' in page
    assert "restored by this run" not in page


def test_show_and_report_take_several(tmp_path, monkeypatch, capsys):
    _, one, two = halves(tmp_path)
    assert run_show(ShowCommand(str(one), more=(str(two),))) == 0
    assert " 8 " in capsys.readouterr().out  # six fits and two known methods
    with pytest.raises(ConfigError, match="several folders are given; say which file"):
        run_report(ReportCommand(str(one), more=(str(two),)))
    place = str(tmp_path / "page.html")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(one), str(two), "--output", place])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"{place}  ")
    assert "report.html" not in [*one.names(), *two.names()]
    with pytest.raises(SystemExit) as ended:
        main(["show", str(one), "--metric", "psnr_peak", str(two), "--top", "3"])
    assert ended.value.code == 0


def test_one_folder_that_is_none_is_refused(tmp_path):
    _, one, _ = halves(tmp_path)
    with pytest.raises(FolderError, match="is empty, or not a folder"):
        load_sweep(one, tmp_path / "nothing")


def test_one_folder_is_listed_once_and_read_when_asked(tmp_path, monkeypatch):
    _, one, _ = halves(tmp_path)
    done = []
    for name in ("names", "read"):
        method = getattr(Store, name)
        monkeypatch.setattr(
            Store, name, lambda self, *args, m=method, n=name: done.append(n) or m(self, *args)
        )
    load_sweep(one)
    assert done == ["names", "names", "read"]  # the folder, its trials, and sweep.json
