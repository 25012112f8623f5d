import io
import pickle
from types import SimpleNamespace

import pytest
from rich.console import Console

from experiments.live import ROWS, LiveTable, describe_point


def trial(name, *, has_attempts=False, **point):
    config = {"problem": "a", "trial": name, **point}
    return SimpleNamespace(trial_id=name, config=config, should_recover=lambda: has_attempts)


def table(*, terminal, mode="max"):
    screen = io.StringIO()
    console = Console(file=screen, width=100, force_terminal=terminal)
    live = LiveTable(console, metric="psnr_peak", mode=mode)
    live.setup(total_num_samples=3)
    return live, screen


def report(live, one, iteration, value):
    live.on_trial_result(0, [], one, {"iteration": iteration, "psnr_peak": value, "loss": 0.01})


def test_a_line_for_each_trial_that_ends_where_there_is_no_terminal():
    live, screen = table(terminal=False)
    good, bad = trial("g", lr=0.1), trial("b", lr=9)
    for one in (good, bad):
        live.on_trial_start(0, [], one)
    report(live, good, 50, 25.123)
    live.on_trial_complete(0, [], good)
    live.on_trial_error(0, [], bad)
    live.on_experiment_end([])
    lines = screen.getvalue().splitlines()
    assert lines[0] == "[1/3] a  lr=0.1  iteration 50  psnr_peak 25.12"
    assert lines[1].endswith("failed") and lines[1].startswith("[2/3] a  lr=9")


def test_a_trial_that_is_run_again_has_not_failed_and_counts_once():
    live, screen = table(terminal=False)
    one = trial("d", lr=0.1, has_attempts=True)
    live.on_trial_start(0, [], one)
    live.on_trial_error(0, [], one)
    live.on_experiment_end([])
    live.setup(total_num_samples=1)
    live.on_trial_start(0, [], one)
    live.on_trial_complete(0, [], one)
    assert live.failed == 0
    assert screen.getvalue().splitlines() == [
        "a  lr=0.1  broke off after iteration 0, tried again",
        "[1/1] a  lr=0.1  iteration 0",
    ]


def test_a_terminal_shows_what_runs_and_the_best():
    live, _ = table(terminal=True)
    one, two = trial("1", lr=0.1), trial("2", lr=0.2)
    for each, value in ((one, 25.0), (two, 24.0)):
        live.on_trial_start(0, [], each)
        report(live, each, 50, value)
    screen = Console(file=io.StringIO(), width=100)
    screen.print(live.render())
    shown = screen.file.getvalue()
    assert "0 of 3 trials ended" in shown
    assert "best psnr_peak 25.00: a  lr=0.1" in shown
    assert "lr=0.2" in shown
    live.on_experiment_end([])


@pytest.mark.parametrize(("mode", "best"), [("max", 3.0), ("min", 1.0)])
def test_the_best_is_by_the_mode(mode, best):
    live, _ = table(terminal=False, mode=mode)
    one = trial("1")
    live.on_trial_start(0, [], one)
    for value in (2.0, 3.0, 1.0):
        report(live, one, 1, value)
    assert live.best[0] == best


def test_many_trials_do_not_flood_the_terminal():
    live, _ = table(terminal=False)
    for i in range(50):
        live.on_trial_start(0, [], trial(str(i), lr=i))
    screen = Console(file=io.StringIO(), width=100)
    screen.print(live.render())
    assert len(screen.file.getvalue().splitlines()) == ROWS + 2


def test_it_pickles_while_it_draws():
    live, _ = table(terminal=True)
    copy = pickle.loads(pickle.dumps(live))
    assert copy.metric == "psnr_peak"
    live.on_experiment_end([])


def test_a_point_is_described_by_what_varies():
    assert describe_point({"problem": "a", "trial": "t", "net": "skip", "lr": 0.1}) == (
        "net=skip lr=0.1"
    )
