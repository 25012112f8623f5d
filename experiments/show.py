"""`dipray show`: the leaderboard of a folder."""

from rich.console import Console

from analysis import Sweep, iterations_saved, leaderboard, load_sweep
from analysis.effects import effects
from analysis.findings import sentences
from analysis.leaderboard import ranking_metric
from analysis.render import leaderboard_table
from experiments.commands import ShowCommand
from experiments.terminal import Terminal


def run_show(command: ShowCommand) -> int:
    """Print a leaderboard for each picture, and what could not be read."""
    sweep = load_sweep(command.run, *command.more)
    console = Terminal()
    show(sweep, console, metric=command.metric, top=command.top)
    if command.effects:
        metric = ranking_metric(sweep, command.metric)
        for sentence in sentences(effects(sweep, metric=metric)):
            console.print(sentence, highlight=False, markup=False)
    return 0


def show(sweep: Sweep, console: Console, *, metric: str | None = None, top: int = 20) -> None:
    """Leaderboards, the iterations that a scheduler saved, and what was left out."""
    trials = sweep.trials
    for problem in dict.fromkeys([*sweep.problems["name"], *trials["problem"]]):
        ours = trials[trials["problem"] == problem]
        chosen = ranking_metric(sweep, metric, trials=ours)
        board = leaderboard(sweep, metric=chosen, top=top)
        console.print(leaderboard_table(board[board["problem"] == problem]))
        if chosen == "loss_final" and ours["psnr_peak"].isna().all():
            console.print(
                "the truth is not known: the loss only says how much was fitted, the noise "
                "included",
                highlight=False,
            )
    saved = iterations_saved(sweep)
    if saved["saved"]:
        console.print(
            f"early stopping saved {saved['saved']:,} of {saved['planned']:,} iterations "
            f"({saved['share']:.0%})",
            highlight=False,
        )
    for line in sweep.left_out:
        console.print(f"left out: {line}", style="yellow", markup=False)
