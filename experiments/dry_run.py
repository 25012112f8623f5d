"""`dipray sweep --dry-run`: what a sweep would take, said before anything starts."""

from dipray.sweep.forecast import Forecast
from dipray.sweep_config import SweepConfig
from experiments.live import describe_point
from experiments.outcomes import Lines

SHOWN = 20  # trials
_STOPPERS = ("asha", "hyperband", "median")


def say_forecast(lines: Lines, found: Forecast, config: SweepConfig) -> None:
    """Print it."""
    for planned in found.trials[:SHOWN]:
        lines.say(f"{planned.problem}  {describe_point(planned.tune_config())}")
    if len(found.trials) > SHOWN:
        lines.say(f"... and {len(found.trials) - SHOWN:,} more")
    kept = f", {found.kept:,} are finished" if found.kept else ""
    drawn = " (drawn at random here, by Optuna as it goes)" if config.search == "optuna" else ""
    lines.say(f"trials      {len(found.trials):,} to run{drawn}{kept}")
    if not found.trials:
        return
    gpus = f" and {found.share.gpus:g} GPU" if found.share.gpus else ""
    lines.say(
        f"resources   {found.share.cpus:g} CPU{gpus} a trial, {found.at_once} at a time; up to "
        f"{size(found.memory)} of memory for each beside its process"
    )
    speed = f"{1000 * found.fastest:.3g} to {1000 * found.slowest:.3g} ms"
    early = "; early stopping makes it less" if config.scheduler in _STOPPERS else ""
    lines.say(
        f"time        about {duration(found.seconds)} for {found.iterations:,} iterations of "
        f"{speed}{early}"
    )
    lines.say(
        f"disk        about {size(found.disk)}, and up to {size(found.disk_checkpoints)} of "
        "checkpoints while it runs"
    )
    if found.measured < found.kinds:
        lines.say(
            f"            {found.measured} of {found.kinds} kinds of fits were tried for a moment, "
            "the others estimated by their memory"
        )
    lines.say("nothing was started; drop --dry-run to begin")


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """Seconds for people: in hours from two of them on."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
