"""What `dipray restore` leaves: the picture, its uncertainty, a record, tables and the page."""

from typing import Any

from analysis import Sweep, save_figure, write_figures, write_report, write_tables
from analysis.configuration import label, varying_settings
from analysis.ensemble import Ensemble, ensemble_data
from analysis.ensemble_plots import draw_deviation
from analysis.pictures import Picture, decode, encode
from experiments.restoring.estimates import Quality, quality
from experiments.restoring.fits import Choice
from experiments.restoring.picture import Damaged, with_known

RESTORED = "restored.png"
RECORD = "restored.json"
UNCERTAINTY = "uncertainty"


def leave(
    sweep: Sweep,
    picture: Damaged,
    choice: Choice,
    members: tuple[str, ...],
    *,
    seconds: float,
) -> list[str]:
    """Write everything into the sweep's folder; lines that say what came out and where it is.

    members: the fits to average; none where time was up, and the choice's own picture is taken.
    """
    store = sweep.store
    ensemble = ensemble_data(sweep, members, picture="ema") if len(members) > 1 else None
    result = _result(sweep, ensemble, members, choice)
    result = result.with_pixels(with_known(picture.problem, result.pixels))
    store.write(RESTORED, encode(result))
    chosen = decode(sweep.image(choice.trial, "peak_val_ema"))
    found = quality(picture, choice.config, chosen.pixels, ensemble, _risk(sweep, members))
    store.write_json(RECORD, _record(picture, choice, members, found, seconds))
    for stale in (f"{UNCERTAINTY}.png", f"{UNCERTAINTY}_16bit.png"):
        store.remove(stale)
    if ensemble is not None:
        save_figure(draw_deviation(ensemble), store, f"{UNCERTAINTY}.png")
        # 16 bit: the deviation itself, in units of the picture's range
        deviation = Picture(ensemble.deviation[..., None], bits=16)
        store.write(f"{UNCERTAINTY}_16bit.png", encode(deviation))
    write_tables(sweep)
    write_figures(sweep)
    write_report(sweep)
    lines = [f"chosen       {_words(sweep, choice, members)}", *found.lines()]
    lines.append(f"restored     {store}/{RESTORED}")
    if ensemble is not None:
        lines.append(f"uncertainty  {store}/{UNCERTAINTY}.png")
    return [*lines, f"report       {store}/report.html"]


def _risk(sweep: Sweep, members: tuple[str, ...]) -> float | None:
    """Stein's estimate of the mean squared error of the last average, where a fit has it."""
    known = sweep.traces("sure_ema", members).dropna()
    return None if known.empty else float(known["sure_ema"].iloc[-1])


def _result(
    sweep: Sweep, ensemble: Ensemble | None, members: tuple[str, ...], choice: Choice
) -> Picture:
    if ensemble is not None:
        return ensemble.sample.with_pixels(ensemble.aggregates["mean"])
    if members:
        return decode(sweep.image(members[0], "ema"))
    return decode(sweep.image(choice.trial, "peak_val_ema"))


def _words(sweep: Sweep, choice: Choice, members: tuple[str, ...]) -> str:
    trials = sweep.trials
    settings = varying_settings(trials[trials["holdout"] > 0])
    words = label(trials.loc[[choice.trial]].to_dict("records")[0], settings)
    words = words or "the only configuration"
    if not members:
        return f"{words}, at iteration {choice.iterations:,}; no time was left to fit it again"
    times = "once" if len(members) == 1 else f"{len(members)} times, averaged"
    return f"{words}; fitted to all pixels {times}, {choice.iterations:,} iterations"


def _record(
    picture: Damaged,
    choice: Choice,
    members: tuple[str, ...],
    found: Quality,
    seconds: float,
) -> dict[str, Any]:
    """What was done, as plain data."""
    return {
        "picture": picture.problem.name,
        "chosen": choice.trial,
        "iterations": choice.iterations,
        "averaged": list(members),
        **picture.to_dict(),
        **found.to_dict(),
        "seconds": seconds,
        "settings": choice.config.to_dict(),
    }
