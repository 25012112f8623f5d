"""What each command takes; the flags are made from these fields."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dipray.config import FitConfig
from dipray.sweep_config import SweepConfig
from dipray.task_config import PicturesConfig, TaskConfig


@dataclass
class FitCommand:
    """Restore one picture with one network.

    For example:
      dipray fit --task denoise --image noisy.png --gt clean.png --iterations 1800
      dipray fit --task denoise --clean photo.png --noise-sigma 25
      dipray fit --task superres --image small.png --scale 4
      dipray fit --task inpaint --image torn.png --mask known.png
    """

    problem: TaskConfig
    config: FitConfig
    save_dir: str | None = None
    """folder for trace and images; None: runs/ and a name made of picture and settings"""
    overwrite: bool = False
    """replace another fit in that folder"""


@dataclass
class SweepCommand:
    """Restore pictures with many configurations, on Ray Tune.

    The space is a named one (`dipray list`) or a JSON grid of fields to values; the settings of a
    fit given here hold wherever the space does not set them. A second call keeps what is finished.

    For example:
      dipray sweep --clean a.png b.png --noise-sigma 25 --space optimizers --name optimizers
      dipray sweep --image noisy.png --gt clean.png --grid grid.json --save-dir runs/mine
      dipray sweep --clean a.png --noise-sigma 25 --space everything --search optuna
    """

    problem: PicturesConfig
    config: FitConfig
    sweep: SweepConfig
    space: str | None = None
    """a space by name"""
    grid: Path | None = None
    """a JSON file: field to value, list of values, or list of grids"""
    storage_path: str = "runs"
    """where sweeps lie: a folder, or a URI such as s3://bucket/prefix"""
    name: str = "sweep"
    """the sweep's folder below storage_path"""
    save_dir: str | None = None
    """the sweep's folder, instead of storage_path and name"""


@dataclass
class ShowCommand:
    """Print the leaderboard of a folder of results."""

    run: Annotated[str, tyro.conf.Positional]
    """a sweep's or a fit's folder, or its URI"""
    metric: str | None = None
    """column to rank by; None: the one of the sweep"""
    top: int = 20
    """rows a picture"""


@dataclass
class ListCommand:
    """List what can be named: networks, optimizers, spaces, tasks, trace columns."""

    what: Annotated[
        Literal["all", "networks", "optimizers", "spaces", "tasks", "columns"],
        tyro.conf.Positional,
    ] = field(default="all")
    """one list only"""
