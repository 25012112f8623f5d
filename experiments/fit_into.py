"""One fit into its folder, with a progress bar."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dipray.config import FitConfig
from dipray.folder import FAILED, FIGURES, INTERRUPTED, PROBLEMS
from dipray.footprint import explained
from dipray.problem import Problem
from dipray.problem_folder import write_problem
from dipray.recorder import Recorder, one_line
from dipray.resumption import resume
from dipray.store import Store
from dipray.trace import Summary
from experiments.interruption import first_ctrl_c
from experiments.outcomes import Lines

BLOCK = 25  # iterations between two looks at the progress
MOST_PIXELS = 512 * 512  # of a picture that known methods, too, are tried on: they take seconds


def fit_into(
    store: Store,
    problem: Problem,
    config: FitConfig,
    console: Console,
    *,
    checkpoint_every_s: float | None = None,
    with_baselines: bool = True,
) -> bool:
    """Run a fit, or go on with it, and record it, showing its progress; whether it came to its end.

    Ctrl-C ends it after the present iteration, ready to go on; pressed again, at once.
    with_baselines: whether known methods are tried, too.
    """
    fit, resumption = resume(store, problem, config)
    lines = Lines(console)
    for complaint in resumption.refused:
        lines.say(f"refused    {complaint}")
    if resumption.iteration:
        lines.say(f"goes on    after iteration {resumption.iteration}")
    recorder = Recorder(store, fit, checkpoint_every_s=checkpoint_every_s, resumption=resumption)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[quality]}"),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(problem.name, total=config.iterations, quality="")
        try:
            if not resumption.iteration:
                write_own_problem(store, problem, with_baselines=with_baselines)
            with first_ctrl_c(fit.pause) as ctrl_c:
                for block in fit.blocks(BLOCK):
                    recorder.add(block)
                    quality = _quality(recorder.summary)
                    progress.update(task, completed=fit.iteration, quality=quality)
                    if ctrl_c.is_asked and block.outcome is None:
                        recorder.interrupt()
                        return False
        except KeyboardInterrupt:
            recorder.end(INTERRUPTED)
            raise
        except Exception as error:
            said = explained(error, config, problem.picture_shape, fit.device)
            recorder.end(FAILED, reason=one_line(said))
            raise said from error
    return True


def write_own_problem(store: Store, problem: Problem, *, with_baselines: bool = True) -> None:
    """Write the problem into a fit's folder; known methods are tried on small pictures alone."""
    store.remove(PROBLEMS)  # of a fit that this one replaces
    store.remove(FIGURES)
    _, height, width = problem.picture_shape
    own = store.child(PROBLEMS, problem.name)
    small = height * width <= MOST_PIXELS
    write_problem(own, problem, with_baselines=with_baselines and small)


def _quality(summary: Summary) -> str:
    values = summary.values
    if values["psnr"] == values["psnr"]:
        return f"PSNR {values['psnr']:.2f} dB, average {values['psnr_ema']:.2f} dB"
    return f"loss {values['loss']:.3g}"
