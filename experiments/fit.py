"""`dipray fit`: one fit into a folder, with a progress bar."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis import Sweep, load_sweep, write_figures, write_tables
from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import (
    CONFIG,
    FAILED,
    FIGURES,
    INTERRUPTED,
    PROBLEM,
    PROBLEMS,
    is_finished,
    problem_said,
    read_outcome,
    trial_id,
)
from dipray.footprint import explained
from dipray.held_out import known_pixels
from dipray.problem import Problem
from dipray.problem_folder import write_problem
from dipray.recorder import Recorder, clear, one_line
from dipray.resumption import resume
from dipray.store import Store
from dipray.trace import Summary
from experiments.commands import FitCommand
from experiments.interruption import first_ctrl_c
from experiments.invocation import command_line
from experiments.outcomes import Lines
from experiments.problems import name_apart

BLOCK = 25  # iterations between two looks at the progress
MOST_PIXELS = 512 * 512  # of a picture that known methods, too, are tried on: they take seconds


def run_fit(command: FitCommand) -> int:
    """Fit, save, and say in a few lines what came out."""
    console = Console()
    problem = name_apart([command.problem])[0]
    config = command.config.settled(
        has_reference=problem.reference is not None, known=known_pixels(problem)
    )
    identity = trial_id(problem.name, problem.fingerprint(), config)
    store = Store(command.save_dir or f"runs/{identity}")
    lines = Lines(console)
    if _holds_this(store, problem, config, overwrite=command.overwrite):
        lines.say(f"{store} holds this very fit already; --overwrite runs it again")
        _tell(lines, load_sweep(store))
        return 0
    if command.overwrite:
        clear(store)
    try:
        is_whole = fit_into(
            store, problem, config, console, checkpoint_every_s=command.checkpoint_every_s
        )
    except KeyboardInterrupt:
        _leave(lines, store)  # what there is of it
        raise
    _leave(lines, store)
    if is_whole:
        return 0
    if command_line():
        lines.say(f"go on      {command_line()}")
    raise KeyboardInterrupt


def _leave(lines: Lines, store: Store) -> None:
    """Write table and figures of the fit in the folder, and say what came out."""
    sweep = load_sweep(store)
    write_tables(sweep)
    write_figures(sweep)
    _tell(lines, sweep)


def _tell(lines: Lines, sweep: Sweep) -> None:
    for line in [*describe(read_outcome(sweep.store)), *_places(sweep)]:
        lines.say(line)


def _places(sweep: Sweep) -> list[str]:
    """What known methods come to, and where the results lie."""
    methods = sweep.baselines.dropna(subset="psnr")
    known = [f"{row['method']} {row['psnr']:.2f} dB" for row in methods.to_dict("records")]
    trials = sweep.trials
    picture = "ema.png (last average)"
    if trials["psnr_peak"].notna().any():
        picture = "peak_ema.png (best average)"
    elif trials["val_psnr_ema_peak"].notna().any():
        picture = "peak_val_ema.png (average at its best held-out error)"
    return [
        *([f"known      {', '.join(known)}"] if known else []),
        f"restored   {sweep.store}/{picture}",
        f"figures    {sweep.store}/{FIGURES}",
        f"folder     {sweep.store}",
    ]


def _holds_this(store: Store, problem: Problem, config: FitConfig, *, overwrite: bool) -> bool:
    """Whether this fit is there, finished; raises FolderError if something else is."""
    if not store.names():
        return False
    if not (store.exists(CONFIG) and store.exists(PROBLEM)):
        raise FolderError(f"{store} holds something that is no fit; choose another --save-dir")
    if overwrite:
        return False
    before = store.read_json(CONFIG)
    differing = [
        name
        for name, value in config.to_dict().items()
        if not isinstance(before, dict) or before.get(name) != value
    ]
    if problem_said(store, "fingerprint") != problem.fingerprint():
        differing.insert(0, "picture or truth")
    if differing:
        raise FolderError(
            f"{store} holds another fit (other {', '.join(differing[:4])}); choose another "
            "--save-dir, or --overwrite it"
        )
    return is_finished(store)


def fit_into(
    store: Store,
    problem: Problem,
    config: FitConfig,
    console: Console,
    *,
    checkpoint_every_s: float | None = None,
) -> bool:
    """Run a fit, or go on with it, and record it, showing its progress; whether it came to its end.

    Ctrl-C ends it after the present iteration, ready to go on; pressed again, at once.
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
                _write_problem(store, problem)
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


def _write_problem(store: Store, problem: Problem) -> None:
    store.remove(PROBLEMS)  # of a fit that this one replaces
    store.remove(FIGURES)
    _, height, width = problem.picture_shape
    own = store.child(PROBLEMS, problem.name)
    write_problem(own, problem, with_baselines=height * width <= MOST_PIXELS)


def _quality(summary: Summary) -> str:
    values = summary.values
    if values["psnr"] == values["psnr"]:
        return f"PSNR {values['psnr']:.2f} dB, average {values['psnr_ema']:.2f} dB"
    return f"loss {values['loss']:.3g}"


def describe(outcome: dict[str, object]) -> list[str]:
    """What a fit came to, in lines for a terminal."""

    def number(name: str, digits: int = 2) -> str:
        value = outcome.get(name)
        return f"{value:.{digits}f}" if isinstance(value, float) else "-"

    by = f" by {outcome['stopped_by']}" if outcome.get("stopped_by") else ""
    lines = [
        f"outcome    {outcome['outcome']}{by} after {outcome.get('iterations_run')} iterations, "
        f"{number('seconds', 1)} s",
        f"loss       {number('loss_final', 6)}",
    ]
    if outcome.get("psnr_peak") is not None:
        for title, prefix in (("output ", "psnr"), ("average", "psnr_ema")):
            at = outcome.get("iteration_peak" if prefix == "psnr" else "iteration_ema_peak")
            lines.append(
                f"{title}    {number(f'{prefix}_peak')} dB at iteration {at}, "
                f"{number(f'{prefix}_final')} dB at the end"
            )
    if outcome.get("val_psnr_ema_peak") is not None:
        lines.append(
            f"held out   {number('val_psnr_ema_peak')} dB (average) at its best, iteration "
            f"{outcome.get('iteration_val_ema_peak')}"
        )
    picks = outcome.get("picks")
    if isinstance(picks, dict):
        picked = [_pick(*item) for item in picks.items() if item[1].get("iteration")]
        lines.append(f"picks      {', '.join(picked)}")
    return lines


def _pick(rule: str, pick: dict[str, Any]) -> str:
    """A rule and its iteration, in brackets the PSNR of the average there."""
    level = pick.get("psnr_ema")
    details = [] if level is None else [f"{level:.2f} dB"]
    if pick.get("fired") is None and rule != "budget":
        details.append("undecided")
    said = f"{rule} {pick.get('iteration')}"
    return f"{said} ({', '.join(details)})" if details else said
