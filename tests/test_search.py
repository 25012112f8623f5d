import dataclasses
from functools import partial

import pytest
import torch
from ray.tune.search import Searcher
from torch.nn import functional as F

from dipray.config import FitConfig
from dipray.errors import ConfigError, FolderError
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep.draws import Draws
from dipray.sweep.search import ListSearch, OptunaPerPicture, Picture
from dipray.sweep.space import as_define_by_run

BASE = FitConfig(depth=2, features=4, iterations=10, holdout=0.0)
UNSAID = BASE.replace(holdout=None)


def picture(name, side, *, has_reference=True, known=None, same_holdout=False) -> Picture:
    known = side * side if known is None else known
    return Picture(name, f"f{name}", side, side, has_reference, known, same_holdout)


PICTURES = [picture("a", 32), picture("b", 16)]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def draws() -> Draws:
    return Draws(Store("sweep"), "a search")


def make(space, *, num_samples=4, known=None, seed=0, pictures=PICTURES):
    return OptunaPerPicture(
        as_define_by_run(space),
        pictures,
        BASE,
        metric="psnr_peak",
        mode="max",
        num_samples=num_samples,
        seed=seed,
        known=known or {},
        draws=draws(),
    )


def run_out(search):
    """Ask until it is finished, reporting lr as the metric."""
    configs = []
    while (config := search.suggest(str(len(configs)))) != Searcher.FINISHED:
        result = {"psnr_peak": config["lr"], "training_iteration": 1}
        search.on_trial_complete(str(len(configs)), result)
        configs.append(config)
    return configs


def test_a_plan_checks_the_picture():
    plan = PICTURES[0].plan(BASE, {"lr": 0.1})
    assert plan.tune_config() == {"lr": 0.1, "problem": "a", "trial": plan.trial}
    with pytest.raises(ConfigError, match="depth=5: too deep for a picture of 32x32"):
        PICTURES[0].plan(BASE, {"depth": 5})


def test_the_same_point_on_two_pictures_is_two_trials():
    plans = [picture.plan(BASE, {"lr": 0.1}) for picture in PICTURES]
    assert plans[0].trial != plans[1].trial


def test_early_stopping_on_psnr_needs_the_truth():
    blind = picture("c", 32, has_reference=False)
    with pytest.raises(ConfigError, match="needs the truth"):
        blind.plan(BASE, {"stop": "psnr"})


def test_a_picture_is_what_a_problem_says():
    halve = partial(F.avg_pool2d, kernel_size=2)
    problem = Problem(torch.rand(1, 3, 8, 10), halve, shape=(3, 16, 20), name="small")
    known = Picture.of(problem, same_holdout=True)
    assert known == Picture("small", problem.fingerprint(), 16, 20, False, 80, True)
    weight = torch.zeros(1, 1, 8, 10)
    weight[..., :3, :5] = 0.5
    assert Picture.of(dataclasses.replace(problem, weight=weight)).known == 15


@pytest.mark.parametrize("field", ["holdout", "holdout_seed"])
def test_fits_that_are_compared_by_what_they_hold_out_hold_out_the_same(field):
    base, point = BASE.replace(holdout=0.1), {field: 0.2 if field == "holdout" else 2}
    one = picture("c", 32, has_reference=False, same_holdout=True)
    with pytest.raises(ConfigError) as caught:
        one.plan(base, point)
    assert caught.value.field == field
    assert str(caught.value) == (
        f"{field}: fits are compared by what they hold out, so it must be the same for all; write "
        "it outside of the space, or another --metric"
    )
    another = picture("c", 32, same_holdout=False)
    assert another.plan(base, point).trial != another.plan(base, {}).trial


def test_a_share_that_leaves_too_little_is_refused():
    torn = picture("c", 32, known=100)
    torn.plan(BASE, {"holdout": 0.08})
    with pytest.raises(ConfigError, match="of the 100 measured pixels of c that is 7, and 8 are"):
        torn.plan(BASE, {"holdout": 0.07})
    with pytest.raises(ConfigError, match=r"that leaves 5 to fit; write at most 0\.5"):
        torn.plan(BASE, {"holdout": 0.95})
    blind = picture("c", 32, has_reference=False, known=60)
    with pytest.raises(ConfigError, match=r"holdout=0.1: of the 60 .* that is 6, .* least 0.134"):
        blind.plan(UNSAID, {})
    blind.plan(BASE, {})
    picture("c", 32, known=60).plan(UNSAID, {})


@pytest.mark.parametrize(
    ("known", "has_reference", "same_holdout", "point", "holdout"),
    [
        (10**6, False, False, {}, 0.03),
        (20_000, False, True, {}, 0.05),
        (100, False, True, {}, 0.1),
        (10**6, True, True, {}, 0.03),
        (10**6, True, False, {}, 0.0),
        (10**6, True, False, {"stop": "val"}, 0.03),
        (10**6, True, False, {"holdout": 0.2}, 0.2),
    ],
)
def test_each_picture_settles_what_is_held_out(known, has_reference, same_holdout, point, holdout):
    one = picture("c", 32, has_reference=has_reference, known=known, same_holdout=same_holdout)
    planned = one.plan(UNSAID, point)
    assert planned.point == {**point, "holdout": holdout}
    said = BASE.replace(holdout=holdout)
    assert one.plan(said, {"lr": 0.1}).point == {"lr": 0.1}
    if "holdout" not in point:
        assert one.plan(said, point).trial == planned.trial


def test_a_list_is_run_in_order():
    plans = [PICTURES[0].plan(BASE, {"lr": lr}) for lr in (0.1, 0.2)]
    search = ListSearch(plans)
    assert len(search) == 2
    assert [search.suggest("x")["lr"], search.suggest("y")["lr"]] == [0.1, 0.2]
    assert search.suggest("z") == Searcher.FINISHED


def test_every_picture_gets_its_samples():
    configs = run_out(make({"lr": [0.001 * i for i in range(1, 30)]}))
    assert [config["problem"] for config in configs] == ["a", "b"] * 4
    assert len({config["trial"] for config in configs}) == 8


def test_the_seed_repeats_the_search():
    space, found = {"lr": [0.001 * i for i in range(1, 30)]}, []
    for seed in (0, 0, 9):
        Store("sweep").remove("studies")
        found.append(run_out(make(space, seed=seed)))
    assert found[0] == found[1] != found[2]


def test_tpe_learns_each_picture_by_itself():
    from ray import tune

    configs = run_out(make({"lr": tune.uniform(0.001, 1.0)}, num_samples=40))
    late = [config["lr"] for config in configs[-20:]]
    early = [config["lr"] for config in configs[:20]]
    assert sum(late) / 20 > sum(early) / 20 + 0.2


def test_finished_trials_count_and_are_told():
    space = {"lr": [0.1, 0.2, 0.3]}
    done = run_out(make(space, num_samples=2, pictures=PICTURES[:1]))
    known = {"a": {config["trial"]: config["lr"] for config in done}}
    of_one = {"known": known, "pictures": PICTURES[:1]}
    search = make(space, num_samples=3, **of_one)
    (study,) = search._studies.values()
    assert [trial.value for trial in study.trials] == [config["lr"] for config in done]
    more = run_out(search)
    assert len(more) == 1
    assert more[0]["trial"] not in known["a"]


def test_what_was_drawn_and_not_finished_comes_first():
    from ray import tune

    space = {"lr": tune.loguniform(0.001, 1.0), "net": ["skip", "unet"]}
    of_one = {"pictures": PICTURES[:1], "num_samples": 5}
    first = make(space, **of_one)
    given = [first.suggest(str(i)) for i in range(3)]
    first.on_trial_complete("1", {"psnr_peak": 20.0})  # and then the driver is killed
    again = make(space, known={"a": {given[1]["trial"]: 20.0}}, **of_one)
    assert len(again) == 4
    configs = run_out(again)
    assert configs[:2] == [given[0], given[2]]
    assert len({config["trial"] for config in [given[1], *configs]}) == 5


def test_a_trial_that_came_to_nothing_is_told_as_such():
    done = run_out(make({"lr": [0.1, 0.2]}, num_samples=2, pictures=PICTURES[:1]))
    known = {"a": {config["trial"]: float("nan") for config in done}}
    search = make({"lr": [0.1, 0.2]}, num_samples=2, known=known, pictures=PICTURES[:1])
    (study,) = search._studies.values()
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL"]
    assert len(search) == 0


def test_a_broken_draw_is_named():
    run_out(make({"lr": [0.1]}, num_samples=1, pictures=PICTURES[:1]))
    folder = Store("sweep").child("studies", Store("sweep").names("studies")[0])
    (name,) = folder.names()
    for broken in ("[]", '{"number": 0}', '{"number": 0, "params": {"lr": [1, "x"]}}'):
        folder.write(name, broken.encode())
        with pytest.raises(FolderError, match=f"{name}: not a draw"):
            draws().read()


def test_finished_trials_of_others_count_when_they_are_drawn():
    space = {"lr": [0.1, 0.2, 0.3]}
    elsewhere = {"x": 9.0}  # this search will never draw it
    drawn = PICTURES[0].plan(BASE, {"lr": 0.2}).trial
    known = {"a": {**elsewhere, drawn: 0.2}}
    search = make(space, num_samples=3, known=known, pictures=PICTURES[:1])
    assert len(search) == 3
    assert sorted(config["lr"] for config in run_out(search)) == [0.1, 0.3]
    assert drawn in search.drawn and "x" not in search.drawn


def test_a_space_that_is_used_up_ends_the_search():
    search = make({"lr": [0.1, 0.2]}, num_samples=10, pictures=PICTURES[:1])
    assert sorted(config["lr"] for config in run_out(search)) == [0.1, 0.2]


def test_points_that_do_not_fit_are_drawn_again():
    configs = run_out(make({"lr": [0.1, 0.2, 0.3], "depth": [2, 9]}, num_samples=3))
    assert len(configs) == 6
    assert {config["depth"] for config in configs} == {2}


def test_points_that_do_not_fit_do_not_end_a_search_that_is_used_up():
    search = make({"lr": [0.1, 0.2, 0.3], "depth": [2, 9]}, num_samples=9, pictures=PICTURES[:1])
    assert sorted(config["lr"] for config in run_out(search)) == [0.1, 0.2, 0.3]


def test_a_space_without_a_valid_point_is_an_error():
    with pytest.raises(ConfigError, match="no configuration that fits: depth=9"):
        make({"lr": [0.1], "depth": 9}).suggest("0")


def test_a_search_pickles_after_it_was_asked():
    from ray import cloudpickle  # as Tune does

    search = make({"lr": [0.1, 0.2, 0.3]})
    search.suggest("0")
    assert len(cloudpickle.loads(cloudpickle.dumps(search))) == 7
