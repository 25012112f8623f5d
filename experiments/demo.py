"""The main job on a small real picture: which network, optimizer and learning rate restore it best?

Command: make demo, or python -m experiments.demo
Cost: about four minutes on two CPU cores.
Expected: the moving average of the best fit lies above non-local means; ASHA ends most of the
twelve configurations early, a good one that is slow at first among them; RMSprop is behind.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from skimage import data

from analysis import leaderboard, load_sweep, write_figures, write_report, write_tables
from dipray.config import FitConfig
from dipray.folder import FIGURES
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem
from experiments.exits import INTERRUPTED, exit_code
from experiments.live import LiveTable
from experiments.show import show
from search_spaces import SPACES

FOLDER = "runs/demo"
PICTURES = "runs/pictures"
NOISE_SIGMA = 25.0
NOISE_SEED = 0
SIZE = 128
BASE = FitConfig(depth=4, iterations=1800, device="cpu")
SWEEP = SweepConfig(metric="psnr_ema_peak", grace_period=300, reduction_factor=2.0)


def demo_picture(folder: Path) -> Path:
    """The photograph as a file: scikit-image's astronaut, every 4x4 pixels averaged to one."""
    path = folder / "astronaut.png"
    if not path.exists():
        full = data.astronaut().astype(np.float64)
        small = full.reshape(SIZE, 4, SIZE, 4, 3).mean(axis=(1, 3))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small.round().astype(np.uint8)).save(path)
    return path


def demo_problem(folder: Path) -> Problem:
    """The photograph with noise of a stored seed."""
    path = demo_picture(folder)
    task = TaskConfig(clean=path, noise_sigma=NOISE_SIGMA, noise_seed=NOISE_SEED)
    return build_problem(task)


def main() -> int:
    """Run the sweep, or what is left of it, and show what came out."""
    console = Console()
    store = Store(FOLDER)
    space = SPACES["demo"].grid
    console.print(SPACES["demo"].question)
    result = run_sweep(
        [demo_problem(Path(PICTURES))],
        space,
        store,
        base=BASE,
        config=SWEEP,
        callbacks=[LiveTable(console, metric=SWEEP.metric, mode=SWEEP.mode)],
    )
    if result.interrupted:
        console.print(f"{result.interrupted} trials are left; make demo goes on with them")
        return INTERRUPTED
    sweep = load_sweep(store)
    write_tables(sweep)
    show(sweep, console)
    best = leaderboard(sweep, metric=SWEEP.metric).dropna(subset="trial").iloc[0]
    store.write("restored.png", sweep.image(best["trial"], "peak_ema"))
    write_figures(sweep, metric=SWEEP.metric)
    write_report(sweep)
    console.print(
        f"{result.run} trials run, {result.kept} kept from before\n"
        f"open in a browser {FOLDER}/report.html\n"
        f"restored picture  {FOLDER}/restored.png\n"
        f"figures           {FOLDER}/{FIGURES}\n"
        f"tables            {FOLDER}/trials.csv, {FOLDER}/trials.parquet\n"
        f"in pandas         from analysis import load_sweep; load_sweep('{FOLDER}').trials",
        highlight=False,
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("demo", main))
