"""What each command takes; the flags are made from these fields."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dipray.config import MAX_PIXELS, FitConfig, Kernel
from dipray.sweep_config import Metric, Resources, SweepConfig
from dipray.task_config import PicturesConfig, TaskConfig


@dataclass
class FitCommand:
    """Restore one picture with one network.

    For example:
      dipray fit --task denoise --image noisy.png --gt clean.png --iterations 1800
      dipray fit --task denoise --clean photo.png --noise-sigma 25
      dipray fit --task superres --image small.png --scale 4
      dipray fit --task inpaint --image torn.png --mask known.png
      dipray fit --image large.png --tile 512
    """

    problem: TaskConfig
    config: FitConfig
    save_dir: str | None = None
    """folder for trace and images; None: runs/ and a name made of picture and settings"""
    checkpoint_every_s: float | None = 30.0
    """seconds between two checkpoints, from which the same command goes on; 0: after each block of
    25 iterations, None: only when it is interrupted"""
    overwrite: bool = False
    """replace another fit in that folder, or begin this one anew"""
    tile: int | None = None
    """for pictures that do not fit into memory: fit tiles of so many pixels a side (of the restored
    picture), one after the other, and blend them; None: the whole picture at once"""
    tile_overlap: int | None = None
    """pixels that neighbouring tiles share at least, up to half a tile; 0 leaves seams; None: an
    eighth of the tile or 32, and twice the reach of the filter for superres"""
    dry_run: bool = False
    """say how much memory it would take, and how much there is; then end"""


@dataclass
class SweepCommand:
    """Restore pictures with many configurations, on Ray Tune.

    The space is a named one (`dipray list`) or a JSON grid of fields to values; the settings of a
    fit given here hold wherever the space does not set them. The same command again keeps what is
    finished and goes on with the rest; a larger grid or more samples run only what is new.

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
    resume: bool = False
    """go on with a sweep that is there, and fail if there is none; without it a new one begins
    then"""
    dry_run: bool = False
    """say what would run, on what, and how long and how much disk it would take; then end"""


@dataclass
class EnsembleCommand:
    """Restore one picture with several seeds, and average them.

    The seeds run side by side as trials of a sweep, with one longer run as the control: would the
    same computing have done as well in one piece?

    For example:
      dipray ensemble --task denoise --image noisy.png --seeds 8 --iterations 1800
      dipray ensemble --clean photo.png --noise-sigma 25 --seeds 8 --aggregate median
    """

    problem: TaskConfig
    config: FitConfig
    resources: Resources
    seeds: int = 8
    """fits that are averaged; their seeds are --seed and the numbers after it"""
    aggregate: Literal["mean", "median", "trimmed"] = "mean"
    """what restored.png is; all are reported. trimmed leaves out a quarter at each end"""
    control: bool = True
    """also run one fit that is as long as all seeds together"""
    save_dir: str | None = None
    """folder of the results; None: runs/ensemble-PICTURE"""


@dataclass
class LrBiasCommand:
    """Restore one picture with several learning rates, and compare them fairly.

    At equal iterations a small learning rate is earlier on the same path. So the fits are also
    compared where their training loss is equal, and where lr x iterations is.

    For example:
      dipray lr-bias --image noisy.png --optimizer sgd --lrs 0.1 0.3 1 3 10 --seeds 3
    """

    problem: TaskConfig
    config: FitConfig
    resources: Resources
    lrs: tuple[float, ...]
    """learning rates, two or more"""
    seeds: int = 1
    """fits of each learning rate; their seeds are --seed and the numbers after it"""
    save_dir: str | None = None
    """folder of the results; None: runs/lr-bias-PICTURE"""


@dataclass
class RestoreCommand:
    """Restore a picture of which nobody has the truth.

    Several networks are fitted to most of the picture and judged by the rest of it. The best one is
    then fitted to all of it, several times, and the results are averaged.

    For example:
      dipray restore noisy.png
      dipray restore noisy.png --time-budget-s 300 --save-dir results
      dipray restore small.png --task superres --scale 4
      dipray restore torn.png --task inpaint --mask known.png
    """

    image: Annotated[Path, tyro.conf.Positional]
    """the damaged picture"""
    resources: Resources
    task: Literal["denoise", "superres", "inpaint"] = "denoise"
    """what to undo"""
    sigma: float | None = None
    """noise level, standard deviation on the scale 0 to 255; None: estimated when denoising"""
    scale: int | None = None
    """superres: enlarge so many times"""
    kernel: Kernel = "lanczos3"
    """superres: antialiasing filter of the model"""
    mask: Path | None = None
    """inpaint: a picture, white where known and black where missing"""
    max_pixels: int = MAX_PIXELS
    """larger pictures are refused, since they may be bombs"""
    num_samples: int | None = None
    """configurations to try, drawn at random; None: a handful chosen beforehand"""
    iterations: int = 3000
    """of a fit, at most"""
    holdout: float | None = None
    """share of the measured pixels that the search judges by; None: 0.03, or more if that is
    little"""
    seeds: int = 4
    """fits of the best configuration that are averaged"""
    seed: int = 0
    """the first seed"""
    device: str = "auto"
    """auto, cpu, cuda or mps"""
    save_dir: str | None = None
    """folder of the results; None: runs/restore-PICTURE"""


@dataclass
class AuditCommand:
    """Say what choosing without the truth loses, where the truth is known.

    For the fit that the held-out error chooses, and for every rule that watches a fit: how far the
    picture that is handed out is below the best one of the sweep, how much of that is due to the
    configuration and how much to the iteration, and how often the rule was too early or too late.

    For example:
      dipray audit runs/mine
      dipray audit runs/choosing/denoise runs/choosing/superres
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """folders of sweeps or fits, or their URIs; several are audited together, task by task"""
    metric: str = "val_psnr_ema_peak"
    """column whose ranking of the fits is held against that by PSNR"""
    tolerance: float = 0.1
    """dB that a pick may be below the best of its fit and still be in time"""
    save_dir: str | None = None
    """folder of tables and figures; None: audit/ in the run, or beside the runs"""


@dataclass
class ReplayCommand:
    """Say what a scheduler would have saved and lost in a sweep that has run to its end.

    The scheduler is told what the fits reported, in the order in which they would have come, and
    ends those that it would have ended. Which these are depends on the order in which fits begin,
    so several are drawn. Nothing is fitted; it takes seconds.

    For example:
      dipray replay runs/mine --scheduler asha --grace-period 100
      dipray replay runs/mine --scheduler median --metric psnr_ema_peak --parallel 8
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """folders of sweeps that no scheduler cut short, or their URIs; several are merged"""
    scheduler: Literal["asha", "hyperband", "median", "none"] = "asha"
    """what ends bad fits early, as in `dipray sweep`"""
    metric: Metric = "auto"
    """what it compares; auto: the metric of the sweep"""
    grace_period: int = 100
    """iterations before a fit can be ended early"""
    reduction_factor: float = 3.0
    """asha, hyperband: of so many fits at a rung one goes on"""
    seeds: int = 20
    """orders of the fits, each drawn at random with a seed from 0"""
    parallel: int = 2
    """fits at a time"""
    clock: Literal["iterations", "seconds"] = "iterations"
    """whether all fits are equally fast, or as fast as they were"""
    save_dir: str | None = None
    """folder of the tables; None: replay/ in the run; needed with several"""


@dataclass
class ReportCommand:
    """Write one HTML page about a folder of results, which opens without a network.

    Several folders of the same study are merged: a trial that lies in several of them counts once.

    For example:
      dipray report runs/mine
      dipray report runs/monday runs/tuesday --output both.html
    """

    run: Annotated[str, tyro.conf.Positional]
    """a sweep's or a fit's folder, or its URI"""
    output: str | None = None
    """where the page goes; None: report.html in that folder; needed with several"""
    metric: str | None = None
    """column to rank by; None: the one of the sweep"""
    more: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """further folders"""


@dataclass
class ShowCommand:
    """Print the leaderboard of a folder of results, or of several merged."""

    run: Annotated[str, tyro.conf.Positional]
    """a sweep's or a fit's folder, or its URI"""
    metric: str | None = None
    """column to rank by; None: the one of the sweep"""
    top: int = 20
    """rows a picture"""
    effects: bool = False
    """also say which settings change the metric by more than the seeds do"""
    more: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """further folders of the same study; a trial that lies in several of them counts once"""


@dataclass
class ListCommand:
    """List what can be named: networks, optimizers, spaces, tasks, trace columns."""

    what: Annotated[
        Literal["all", "networks", "optimizers", "spaces", "tasks", "columns"],
        tyro.conf.Positional,
    ] = field(default="all")
    """one list only"""
