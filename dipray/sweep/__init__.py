"""Sweeps: many fits on Ray Tune, left in one folder."""

from dipray.sweep.grid import Grid
from dipray.sweep.grid_file import read_grid
from dipray.sweep.points import expand
from dipray.sweep.run import SweepResult, run_sweep
from dipray.sweep.space import Space
from dipray.sweep.trainable import FitTrainable
from dipray.sweep_config import SweepConfig

__all__ = [
    "FitTrainable",
    "Grid",
    "Space",
    "SweepConfig",
    "SweepResult",
    "expand",
    "read_grid",
    "run_sweep",
]
