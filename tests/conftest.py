"""What the tests share: one small photograph, problems made of it, and a tiny fit."""

import os
import sys

import hypothesis
import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from dipray.config import FitConfig
from dipray.images import encode_png
from dipray.problem import Problem
from dipray.tasks.truth import add_noise

hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")


class _LeaveAtOnce:
    """Ends a process in which Ray was, before the interpreter is taken down.

    By then all is reported and every Ray is shut down, but threads of its core are left that now
    and then make that a segmentation fault, whose exit code would hide the tests' own.
    """

    status = 0

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus):
        self.status = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        if "ray" in sys.modules:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.status)


def pytest_configure(config):
    config.pluginmanager.register(_LeaveAtOnce(), "leave-at-once")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def _astronaut() -> Tensor:
    reduced = data.astronaut().reshape(32, 16, 32, 16, 3).mean(axis=(1, 3))
    levels = np.round(reduced).astype(np.float32) / 255  # so that a PNG of 8 bit holds it exactly
    return torch.from_numpy(levels).permute(2, 0, 1)[None].contiguous()


@pytest.fixture
def truth(_astronaut: Tensor) -> Tensor:
    """A photograph, (1, 3, 32, 32) in [0, 1], on 256 levels."""
    return _astronaut.clone()


@pytest.fixture
def noisy(truth: Tensor) -> Tensor:
    return add_noise(truth, noise_sigma=25, seed=0)


@pytest.fixture
def problem(noisy: Tensor, truth: Tensor) -> Problem:
    """Denoising with the truth known."""
    return Problem(noisy, reference=truth, name="astronaut")


@pytest.fixture
def tiny() -> FitConfig:
    """A fit of 20 iterations that takes a twentieth of a second at 32x32."""
    return FitConfig(
        depth=2,
        features=4,
        input_channels=4,
        iterations=20,
        metrics_every=5,
        snapshots=0,
        device="cpu",
    )


@pytest.fixture
def clean_file(truth: Tensor, tmp_path):
    path = tmp_path / "astronaut.png"
    path.write_bytes(encode_png(truth))
    return path
