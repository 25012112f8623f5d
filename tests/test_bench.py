"""The benchmark: its table, its turns, and that every section runs."""

import json

import pytest
import torch

from dipray.config import FitConfig
from dipray.models import build_network
from experiments.bench import __main__ as bench
from experiments.bench.finding import HEADER, Finding, Goal, table
from experiments.bench.members import Crowd, Fused, Separate
from experiments.bench.textbook import TextbookFit, TextbookSkip
from experiments.bench.timing import Times, ratio, take_turns


def test_goals_are_of_ratios_or_of_values():
    assert Finding("a", 3.0, ratio=2.0, goal=Goal("at least", 2.0)).met is True
    assert Finding("a", 3.0, ratio=1.9, goal=Goal("at least", 2.0)).met is False
    assert Finding("a", 3.0, ratio=9.0, goal=Goal("at most", 2.0, of="value")).met is False
    assert Finding("a", Times.of([1.0, 2.0]), goal=Goal("at most", 2.0, of="value")).met is True
    assert Finding("a", None, goal=Goal("at most", 2.0, of="value")).met is None
    assert Finding("a", 3.0).met is None


def test_the_table_says_what_was_not_measured_and_what_missed():
    text = table(
        [
            Finding("one", None, remark="there is none"),
            Finding("two", 2.0, "dB", goal=Goal("at most", 1, of="value")),
            Finding("three", Times(1, 0.5, 2, 3), beside="it", theirs=3.0, ratio=3.0),
        ]
    )
    head, _, one, two, three = text.splitlines()
    assert head.split(" | ")[1:-1] == list(HEADER[1:-1])
    assert "not measured" in one and "there is none" in one
    assert "at most 1, missed" in two
    assert "| 1 s (0.5 to 2) | it | 3 s | 3.00 |" in three


def test_candidates_take_turns():
    calls = []
    names = ["a", "b"]
    seconds = take_turns({n: lambda n=n: calls.append(n) for n in names}, turns=3, warm_up=1)
    assert sorted(calls) == ["a"] * 4 + ["b"] * 4
    assert {len(set(calls[i : i + 2])) for i in range(0, 8, 2)} == {2}
    assert calls[:2] != calls[2:4]  # neither is always the first
    assert [len(values) for values in seconds.values()] == [3, 3]
    assert ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == 2.0


def test_the_textbook_network_is_the_same_network():
    # but for the running moments that torch's batch norm keeps
    ours = build_network(FitConfig(depth=3, features=8), inputs=32, outputs=3)
    theirs = TextbookSkip(depth=3, features=8)
    shapes = [sorted(tuple(p.shape) for p in net.parameters()) for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
    with torch.no_grad():
        for parameter in [*ours.parameters(), *theirs.parameters()]:
            parameter.copy_(torch.linspace(-0.2, 0.3, parameter.numel()).view_as(parameter))
    z = torch.rand(1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(z), theirs(z), rtol=1e-4, atol=1e-5)


def test_the_textbook_loop_fits():
    truth = torch.full((1, 3, 32, 32), 0.8)
    fit = TextbookFit(truth, truth, depth=2, features=8)
    losses = [fit.step()[0] for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_fused_members_go_the_way_of_separate_ones():
    crowd = Crowd(3, depth=2, features=4, side=16)
    separate, fused = Separate(crowd), Fused(crowd)
    for _ in range(3):
        separate.run(1)
        fused.run(1)
        torch.testing.assert_close(separate.losses, fused.losses, rtol=1e-4, atol=1e-6)
    assert len(set(separate.losses.tolist())) == 3


@pytest.mark.parametrize("section", ["fit", "precision", "many", "probe"])
def test_a_section_runs_and_leaves_dated_files(section, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["bench", "--only", section, "--quick", "--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    assert bench.main() == 0
    (record,) = (tmp_path / "out").glob("bench-*.json")
    data = json.loads(record.read_text())
    assert data["sections"][section]
    assert data["machine"]["cores"] >= 1
    text = record.with_suffix(".md").read_text()
    assert text in capsys.readouterr().out
    for finding in data["sections"][section]:
        assert finding["ours"] is not None or finding["remark"].startswith("not measured")
