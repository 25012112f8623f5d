"""The studies of minima stability: what they say and ask for, and a tiny run of all of them."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis import load_sweep
from experiments.studies.stability import (
    coordinates,
    edge,
    intervention,
    mediation,
    sanity,
    smoothness,
)
from experiments.studies.study import main
from tests.ray_local import local_ray  # noqa: F401

MODULES = {
    module.STUDY.name.rpartition(".")[2]: module
    for module in (edge, smoothness, intervention, mediation, coordinates)
}
every_study = pytest.mark.parametrize("study", [m.STUDY for m in MODULES.values()], ids=MODULES)
VERDICTS = {"supported", "refuted", "not decided"}


@every_study
def test_it_says_question_command_cost_rule_and_expectation(study):
    lines = study.said.strip().splitlines()
    assert lines[0].endswith("?")
    starts = [line.split(":")[0] for line in lines[1:] if re.match(r"[A-Z][a-z ]+: ", line)]
    assert starts[:2] == ["Command", "Cost"]
    assert starts[-2:] == ["Rule", "Expected"]
    assert f"python -m experiments.studies.{study.name} " in study.said
    for word in ("Supported", "refuted", "decided"):
        assert word.lower() in study.said.lower()


@every_study
def test_it_costs_what_it_says(study):
    plan = study.plan(study.full)
    digests = {config.digest() for config in plan.configs}
    assert len(digests) == len(plan.configs)
    fits, iterations = re.search(r"([\d,]+) fits, ([\d,]+) iterations", study.said).groups()
    assert plan.num_fits == int(fits.replace(",", ""))
    assert plan.num_iterations == int(iterations.replace(",", ""))


@every_study
def test_every_fit_is_possible_and_is_gradient_descent_itself(study):
    for flags in (study.full, study.smoke, study.on_gpu):
        for config in study.plan(flags).configs:
            config.check_size(flags.size, flags.size)
            assert config.input_jitter == 0
            assert config.precision == "fp32"
            assert config.probe_every > 0
    assert len(study.full.pictures) == study.full.seeds == 3
    assert (len(study.on_gpu.pictures), study.on_gpu.seeds, study.on_gpu.size) == (5, 5, 256)


def test_the_studies_share_their_fits():
    def digests(module):
        return {config.digest() for config in module.STUDY.plan(module.STUDY.full).configs}

    assert digests(edge) < digests(smoothness)
    assert len(digests(smoothness) - digests(edge)) == 15  # the linearised
    assert len(digests(coordinates) - digests(edge)) == 15
    assert len(digests(mediation) - digests(edge)) == 36
    assert len(digests(intervention) - digests(edge)) == 24
    assert {module.STUDY.run for module in MODULES.values()} == {"stability"}


def test_full_is_for_the_gpu():
    flags = edge.STUDY.flags(["--full", "--seeds", "2"])
    assert (flags.size, flags.seeds, flags.full) == (256, 2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--full", "--smoke-test"], "full: not together with smoke_test"),
        (["--pictures", "coffee", "chelsea"], "pictures: 2 given; this study needs at least 3"),
        (["--noises", "2"], "noises: 2 given; this study takes at most 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, said, capsys):
    assert main(edge.STUDY, arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"stability.edge: {said}")
    assert error.count("\n") == 1


def test_a_study_of_one_size_has_no_full(capsys):
    from experiments.studies import optimizers

    assert main(optimizers.STUDY, ["--full"]) == 2
    assert "full: optimizers has one size" in capsys.readouterr().err


@pytest.mark.ray
def test_all_of_them_run_on_one_folder(local_ray, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    for module, name, kept in (
        (edge, "EDGE_ARMS", slice(0, 1)),
        (smoothness, "ARMS", slice(0, 7, 6)),
        (intervention, "ARMS", slice(0, 1)),
        (mediation, "ARMS", slice(0, 3, 2)),
        (coordinates, "ARMS", slice(0, 2)),
    ):
        monkeypatch.setattr(module, name, getattr(module, name)[kept])
    arguments = ["--smoke-test", "--iterations", "30", "--size", "16"]
    for module in MODULES.values():
        assert main(module.STUDY, arguments) == 0
    said = capsys.readouterr().out
    assert "15 fits run, 0 kept" in said  # of the edge
    assert "15 fits run, 15 kept" in said  # of smoothness, the linearised beside those of the edge
    run = Path("runs/stability-smoke")
    tables = {path.stem for path in (run / "study").glob("*.csv")}
    assert tables >= {"edge", "edge_by_lr", "slopes", "at_equal_loss", "interventions"}
    assert tables >= {"intervention_effects", "mediation", "input_slopes"}
    for study in ("edge", "smoothness", "intervention", "mediation", "input"):
        rows = pd.read_csv(run / "study" / f"{study}_verdicts.csv")
        assert set(rows["verdict"]) <= VERDICTS
    pictures = {path.stem for path in (run / "study").glob("*.png")}
    assert pictures == {*("edge", "at_equal_loss_no_norm", "interventions", "mediation", "inputs")}
    trials = load_sweep(run).trials
    assert set(trials["outcome"]) == {"BUDGET"}
    assert (trials["probe_every"] == 10).all()


# the check of the instrument


def test_the_check_fails_where_something_does_not_hold(monkeypatch, capsys):
    checks = [sanity.Check("this", "1", "at most 2", True)]
    monkeypatch.setattr(sanity, "checks", lambda: iter(checks))
    assert sanity.main() == 0
    assert "holds  this: 1 (at most 2)\neverything holds\n" in capsys.readouterr().out
    checks.append(sanity.Check("that", "3", "at most 2", False))
    assert sanity.main() == 1
    assert "FAILS  that: 3 (at most 2)" in capsys.readouterr().out
