import json
import math
import pickle
from hashlib import sha256
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.models import NETWORKS, build_network

FIELDS = tuple(FitConfig.model_fields)

JUMP = {"lr_schedule": "jump", "lr_jump_at": 9, "lr_jump_by": 0.5}
USED_WITH = {
    # field -> settings with which it has an effect
    "momentum": {"optimizer": "sgd"},
    "nesterov": {"optimizer": "sgd", "momentum": 0.9},
    "betas": {"optimizer": "adamw"},
    "weight_decay": {"optimizer": "adam"},
    "line_search": {"optimizer": "lbfgs"},
    "fourier_scale": {"input_kind": "fourier"},
    "seed_input": {"input_kind": "noise"},
    "seed_jitter": {"input_jitter": 0.1},
    "skip_channels": {"net": "unet"},
    "holdout_seed": {"holdout": 0.1},
    "lr_jump_at": JUMP,
    "lr_jump_by": JUMP,
}

SILENT = [
    # field, value, settings with which it would have no effect
    ("momentum", 0.9, {"optimizer": "adam"}),
    ("momentum", 0.9, {"optimizer": "adamw"}),
    ("momentum", 0.9, {"optimizer": "lbfgs"}),
    ("nesterov", True, {"optimizer": "adam"}),
    ("nesterov", True, {"optimizer": "sgd"}),
    ("nesterov", True, {"optimizer": "rmsprop", "momentum": 0.9}),
    ("betas", (0.5, 0.9), {"optimizer": "sgd"}),
    ("betas", (0.5, 0.9), {"optimizer": "rmsprop"}),
    ("betas", (0.5, 0.9), {"optimizer": "lbfgs"}),
    ("weight_decay", 0.1, {"optimizer": "lbfgs"}),
    ("line_search", "strong_wolfe", {"optimizer": "adam"}),
    ("line_search", "strong_wolfe", {"optimizer": "sgd"}),
    ("fourier_scale", 3.0, {"input_kind": "noise"}),
    ("fourier_scale", 3.0, {"input_kind": "meshgrid"}),
    ("holdout_seed", 7, {"holdout": 0.0}),
    ("seed_input", 7, {"input_kind": "meshgrid"}),
    ("seed_jitter", 7, {"input_jitter": 0.0}),
    ("skip_channels", 7, {"net": "encdec"}),
    ("lr_jump_at", 5, {"lr_schedule": "cosine"}),
    ("lr_jump_by", 2.0, {"lr_schedule": "constant"}),
]

BOUNDS = [
    # field, values allowed, values refused
    ("depth", [1, 10], [0, 11]),
    ("features", [1, 2048], [0, 2049]),
    ("skip_channels", [None, 0, 2048], [-1, 2049]),
    ("input_channels", [None, 1, 1024], [0, 1025]),
    ("fourier_scale", [1e-9, 1e4], [0.0, 1.1e4]),
    ("input_jitter", [0.0, 10.0], [-0.1, 10.1]),
    ("lr", [1e-12, 1e6], [0.0, -0.1, 1.1e6]),
    ("momentum", [0.0, 0.999], [-0.1, 1.0]),
    ("betas", [(0.0, 0.0), (0.999, 0.9999)], [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9)]),
    ("weight_decay", [0.0, 1e3], [-0.1, 1.1e3]),
    ("iterations", [1, 10_000_000], [0, 10_000_001]),
    ("ema_decay", [0.0, 0.9999], [-0.1, 1.0]),
    ("tv_weight", [0.0, 1e3], [-0.1, 1.1e3]),
    ("holdout", [None, 0.0, 0.999], [-0.1, 1.0]),
    ("holdout_seed", [0, 2**63 - 1], [-1, 2**63]),
    ("sure_sigma", [None, 1e-6, 255.0], [0.0, -1.0, 255.1]),
    ("variance_window", [0, 2, 10_000], [-1, 1, 10_001]),
    ("patience", [1], [0]),
    ("metrics_every", [1], [0]),
    ("snapshots", [0, 1000], [-1, 1001]),
    ("seed", [0, 2**63 - 1], [-1, 2**63]),
    ("seed_weights", [None, 0, 2**63 - 1], [-1, 2**63]),
    ("seed_input", [None, 0, 2**63 - 1], [-1, 2**63]),
    ("seed_jitter", [None, 0, 2**63 - 1], [-1, 2**63]),
    ("device", ["auto", "cpu", "cuda", "cuda:1", "mps"], ["tpu", "cuda:", "cpu\n", ""]),
]

CHANGES = {
    # field -> another valid value in the settings of USED_WITH
    "net": "unet",
    "depth": 4,
    "features": 64,
    "skip_channels": 8,
    "norm": "none",
    "activation": "relu",
    "upsampling": "nearest",
    "downsampling": "avg",
    "padding": "zeros",
    "input_kind": "fourier",
    "input_channels": 16,
    "fourier_scale": 5.0,
    "input_jitter": 0.5,
    "optimizer": "sgd",
    "lr": 0.02,
    "momentum": 0.5,
    "nesterov": True,
    "betas": (0.8, 0.9),
    "weight_decay": 0.5,
    "line_search": "strong_wolfe",
    "init": "kaiming",
    "linearised": True,
    "lr_schedule": "cosine",
    "lr_jump_at": 5,
    "lr_jump_by": 2.0,
    "probe_every": 50,
    "iterations": 7,
    "ema_decay": 0.5,
    "tv_weight": 0.5,
    "holdout": 0.1,
    "holdout_seed": 1,
    "sure_sigma": 25.0,
    "variance_window": 50,
    "stop": "loss",
    "patience": 9,
    "metrics_every": 3,
    "snapshots": 3,
    "seed": 1,
    "seed_weights": 1,
    "seed_input": 1,
    "seed_jitter": 1,
    "precision": "bf16",
    "compile": "on",
    "device": "cpu",
}

PAIRS = "allowed is two numbers; in a grid, a list of pairs such as [[0.9, 0.99]]"


def complaint(**values) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        FitConfig(**values)
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_value_is_named_with_its_field_and_what_is_allowed(field):
    error = complaint(**{field: "no such value"})
    assert error.field == field
    said, allowed = str(error).split(": allowed is ")
    assert said == f"{field}='no such value'"
    assert allowed


@pytest.mark.parametrize(
    ("values", "field", "text"),
    [
        ({"lr": 0}, "lr", "lr=0: allowed is above 0 and at most 1,000,000"),
        ({"depth": 2.0}, "depth", "depth=2.0: allowed is a valid integer"),
        ({"seed": True}, "seed", "seed=True: allowed is a valid integer"),
        ({"nesterov": 1}, "nesterov", "nesterov=1: allowed is a valid boolean"),
        (
            {"downsampling": "maxx"},
            "downsampling",
            "downsampling='maxx': allowed is 'stride', 'avg' or 'max'",
        ),
        (
            {"betas": (0.9,)},
            "betas",
            f"betas=(0.9,): {PAIRS}",
        ),
        (
            {"betas": [0.9, 0.9, 0.9]},
            "betas",
            f"betas=(0.9, 0.9, 0.9): {PAIRS}",
        ),
        ({"betas": (0.9, "x")}, "betas", "betas='x': allowed is a valid number"),
        (
            {"device": "tpu"},
            "device",
            "device='tpu': allowed is auto, cpu, cuda, cuda:N or mps",
        ),
        ({"dept": 3}, "dept", "dept: no such setting; did you mean depth?"),
        (
            {"input_kind": "meshgrid", "input_channels": 3},
            "input_channels",
            "input_channels=3: meshgrid has exactly 2",
        ),
        (
            {"input_kind": "fourier", "input_channels": 3},
            "input_channels",
            "input_channels=3: fourier needs an even number",
        ),
        (
            {"holdout": 0.0, "holdout_seed": 3},
            "holdout_seed",
            "holdout_seed=3: has no effect here; it is used with a holdout above 0",
        ),
        (
            {"variance_window": 1},
            "variance_window",
            "variance_window=1: one output has no variance",
        ),
        (
            {"stop": "val", "holdout": 0.0},
            "stop",
            "stop='val': needs more; write holdout, e.g. 0.03",
        ),
        (
            {"stop": "sure"},
            "stop",
            "stop='sure': needs more; write sure_sigma, the noise level, e.g. 25",
        ),
        (
            {"stop": "wmv", "variance_window": 0},
            "stop",
            "stop='wmv': needs more; write variance_window, e.g. 100",
        ),
        (
            {"stop": "emv", "variance_window": 0},
            "stop",
            "stop='emv': needs more; write variance_window, e.g. 100",
        ),
        ({"sure_sigma": 0.0}, "sure_sigma", "sure_sigma=0.0: allowed is above 0 and at most 255"),
        ({"holdout": 1.0}, "holdout", "holdout=1.0: allowed is at least 0 and below 1"),
    ],
)
def test_what_an_error_says(values, field, text):
    error = complaint(**values)
    assert (error.field, str(error)) == (field, text)


def test_an_unknown_setting_far_from_any_lists_them_all():
    text = str(complaint(zzzzzz=1))
    assert all(field in text for field in FIELDS)


def test_an_error_pickles_whole():
    error = pickle.loads(pickle.dumps(complaint(lr=-1.0)))
    assert (error.field, str(error)) == ("lr", "lr=-1.0: allowed is above 0 and at most 1,000,000")


@pytest.mark.parametrize(("field", "allowed", "refused"), BOUNDS)
def test_bounds(field, allowed, refused):
    settings = USED_WITH.get(field, {})
    for value in allowed:
        assert getattr(FitConfig(**settings | {field: value}), field) == value
    for value in refused:
        error = complaint(**settings | {field: value})
        assert error.field == field
        assert field in str(error)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "field",
    [
        name
        for name, info in FitConfig.model_fields.items()
        if info.annotation in (float, float | None)
    ],
)
def test_no_number_is_not_finite(field, value):
    assert complaint(**USED_WITH.get(field, {}) | {field: value}).field == field


def test_betas_are_finite():
    assert complaint(betas=(0.9, math.nan)).field == "betas"


@pytest.mark.parametrize(("field", "value", "settings"), SILENT)
def test_no_field_is_silent(field, value, settings):
    error = complaint(**settings | {field: value})
    assert error.field == field
    assert str(error).startswith(f"{field}={value!r}: ")
    default = FitConfig.model_fields[field].default
    assert getattr(FitConfig(**settings, **{field: default}), field) == default
    assert getattr(FitConfig(**USED_WITH[field] | {field: value}), field) == value


def test_a_configuration_is_frozen():
    config = FitConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.lr = 1.0
    assert hash(config) == hash(FitConfig())


def test_replace_validates_again():
    config = FitConfig(optimizer="sgd", momentum=0.9)
    assert config.replace(lr=0.5).lr == 0.5
    assert config.replace(lr=0.5).momentum == 0.9
    with pytest.raises(ConfigError, match="momentum"):
        config.replace(optimizer="adam")
    with pytest.raises(ConfigError, match="did you mean lr"):
        config.replace(lrr=0.5)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_survives_json_and_changes_the_digest(field):
    base = FitConfig(**USED_WITH.get(field, {}))
    changed = base.replace(**{field: CHANGES[field]})
    again = FitConfig.from_dict(json.loads(json.dumps(changed.to_dict())))
    assert again == changed
    assert again.digest() == changed.digest()
    assert type(getattr(again, field)) is type(CHANGES[field])
    assert changed != base
    assert changed.digest() != base.digest()


def test_digests_differ_as_configurations_do():
    configs = {FitConfig()}
    for field in FIELDS:
        base = FitConfig(**USED_WITH.get(field, {}))
        configs |= {base, base.replace(**{field: CHANGES[field]})}
    for one, other in combinations(configs, 2):
        assert one.digest() != other.digest()


def test_new_fields_leave_the_digests_of_old_configurations():
    assert FitConfig().digest() == sha256(b"{}").hexdigest()
    assert FitConfig(lr=0.5, net="unet").digest() == (
        sha256(b'{"lr": 0.5, "net": "unet"}').hexdigest()
    )


def test_nothing_held_out_has_the_digest_of_the_default():
    for settings in ({}, {"stop": "loss", "seed": 3}):
        config = FitConfig(**settings)
        assert config.replace(holdout=0.0).digest() == config.digest()
        settled = config.settled(has_reference=True, known=10**6)
        assert settled.holdout == 0
        assert settled.digest() == config.digest()
        assert config.settled(has_reference=False, known=10**6).digest() != config.digest()
    assert FitConfig(holdout=0.03).digest() != FitConfig(holdout=0.0).digest()


@pytest.mark.parametrize(
    ("settings", "has_reference", "judged", "holdout"),
    [
        ({}, True, False, 0.0),
        ({}, False, False, 0.03),
        ({}, True, True, 0.03),
        ({}, False, True, 0.03),
        ({"stop": "val"}, True, False, 0.03),
        ({"stop": "val"}, False, False, 0.03),
        ({"stop": "psnr"}, True, False, 0.0),
        ({"stop": "wmv"}, False, False, 0.03),
        ({"holdout": 0.0}, False, True, 0.0),
        ({"holdout": 0.2}, True, False, 0.2),
        ({"holdout_seed": 3}, False, False, 0.03),
    ],
)
def test_what_is_held_out_is_settled(settings, has_reference, judged, holdout):
    config = FitConfig(**settings)
    settled = config.settled(has_reference=has_reference, known=10**6, judged=judged)
    assert settled == config.replace(holdout=holdout)
    for again in (True, False):
        assert settled.settled(has_reference=again, known=20, judged=again) == settled


@pytest.mark.parametrize(
    ("known", "held"),
    [(10**6, 30_000), (40_000, 1200), (33_334, 1000), (20_000, 1000), (10_000, 1000), (5000, 500)],
)
def test_a_small_picture_holds_out_a_larger_share(known, held):
    config = FitConfig().settled(has_reference=False, known=known)
    assert round(config.holdout * known) == held
    assert 0.03 <= config.holdout <= 0.1


def test_which_pixels_is_no_question_where_none_are_held_out():
    with pytest.raises(ConfigError, match="holdout_seed=3: has no effect here"):
        FitConfig(holdout_seed=3).settled(has_reference=True, known=10**6)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "lr": st.floats(1e-12, 1e6),
            "depth": st.integers(1, 10),
            "betas": st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
            "seed": st.integers(0, 2**63 - 1),
            "seed_weights": st.none() | st.integers(0, 2**63 - 1),
            "ema_decay": st.floats(0, 0.9999),
            "tv_weight": st.floats(0, 1e3),
            "holdout": st.none() | st.floats(0, 1, exclude_max=True),
            "sure_sigma": st.none() | st.floats(1e-6, 255),
            "variance_window": st.just(0) | st.integers(2, 10_000),
            "iterations": st.integers(1, 10_000_000),
        },
    )
)
def test_any_configuration_survives_json(values):
    config = FitConfig(**values)
    again = FitConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.digest() == config.digest()


def test_whole_numbers_are_numbers():
    assert FitConfig(lr=1).digest() == FitConfig(lr=1.0).digest()


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (40, 16), (33, 65)])
@pytest.mark.parametrize("net", NETWORKS)
def test_max_depth_is_the_greatest_that_runs(net, size):
    deepest = FitConfig(net=net).max_depth(*size)
    z = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(0))
    for padding in ("reflect", "zeros", "replicate", "circular"):
        config = FitConfig(net=net, depth=deepest, features=2, padding=padding)
        config.check_size(*size)
        assert build_network(config, inputs=2, outputs=3)(z).shape == (1, 3, *size)
    beyond = FitConfig(net=net, depth=deepest + 1, features=2)
    with pytest.raises(ConfigError, match=f"write at most {deepest}$") as caught:
        beyond.check_size(*size)
    assert caught.value.field == "depth"
    assert f"depth={deepest + 1}" in str(caught.value)
    with pytest.raises((RuntimeError, ValueError)):
        build_network(beyond, inputs=2, outputs=3)(z)


@pytest.mark.parametrize("size", [(15, 40), (40, 15), (1, 1)])
def test_a_picture_can_be_too_small(size):
    with pytest.raises(ConfigError, match=rf"{size[0]}x{size[1]}.*at least 16"):
        FitConfig(depth=1).check_size(*size)


def test_seeds_of_purposes_differ_and_follow_the_seed():
    purposes = ("weights", "input", "jitter")
    drawn = [FitConfig(seed=seed).seed_of(purpose) for seed in (0, 1) for purpose in purposes]
    assert len(set(drawn)) == 6
    assert all(0 <= seed < 2**63 for seed in drawn)
    assert drawn[:3] == [FitConfig().seed_of(purpose) for purpose in purposes]


@pytest.mark.parametrize("purpose", ["weights", "input", "jitter"])
def test_a_seed_can_be_set_apart(purpose):
    config = FitConfig(**{f"seed_{purpose}": 0})
    assert config.seed_of(purpose) == 0
    for other in {"weights", "input", "jitter"} - {purpose}:
        assert config.seed_of(other) == FitConfig().seed_of(other)
