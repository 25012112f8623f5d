"""Sweeps: many fits on Ray Tune, left in one folder."""

from dipray.sweep.forecast import Forecast, forecast
from dipray.sweep.grid import Grid
from dipray.sweep.grid_file import read_grid
from dipray.sweep.plan import Request
from dipray.sweep.points import expand
from dipray.sweep.run import SweepResult, run_sweep
from dipray.sweep.space import Space
from dipray.sweep.trainable import FitTrainable
from dipray.sweep_config import SweepConfig

__all__ = [
    "FitTrainable",
    "Forecast",
    "Grid",
    "Request",
    "Space",
    "SweepConfig",
    "SweepResult",
    "expand",
    "forecast",
    "read_grid",
    "run_sweep",
]
