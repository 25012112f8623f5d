"""What studies of factors share: scores, effects, interactions and importance, by two metrics."""

import pandas as pd

from analysis import draw_effects, draw_importance, interactions, score_table, sentences
from analysis.effects import effects
from analysis.importance import importance
from experiments.studies.findings import Findings

# the best of a fit's average, which only the truth can find, and where the budget ends it
METRICS = {"psnr_ema_peak": "at its best", "psnr_ema_final": "at the end of the budget"}
_SAID = 5  # effects, and as many interactions


def write_factors(found: Findings) -> list[str]:
    """Tables and figures of what each setting does, by each of METRICS; what the first shows.

    Written for a metric: scores_, effects_, interactions_ and importance_METRIC, and figures of
    effects and importance.
    """
    said: list[str] = []
    for metric, when in METRICS.items():
        scores = score_table(found.sweep, metric=metric, trials=found.trials)
        alone = effects(found.sweep, metric=metric, trials=found.trials)
        together = interactions(found.sweep, metric=metric, trials=found.trials)
        weights = importance(found.sweep, metric=metric, trials=found.trials)
        for name, frame in (
            ("scores", scores),
            ("effects", alone),
            ("interactions", together),
            ("importance", weights),
        ):
            found.write(f"{name}_{metric}", frame)
        found.draw(f"effects_{metric}", draw_effects(alone))
        found.draw(f"importance_{metric}", draw_importance(weights))
        if metric == next(iter(METRICS)):
            said = [*_best(scores, when), *sentences(alone, together, most=_SAID)]
    return said


def _best(scores: pd.DataFrame, when: str) -> list[str]:
    if scores.empty:
        return []
    best = scores.iloc[0]
    if not best["complete"]:
        return ["no configuration has a score on every picture, so none is called the best"]
    said = f"the best average {when} is that of {best['label']}, {best['mean']:.2f} dB"
    if best["diverged"]:
        said += f"; {best['diverged']} of its {best['diverged'] + best['runs']} fits diverged"
    return [said, *left_out(scores)]


def left_out(scores: pd.DataFrame) -> list[str]:
    """How many rows of a `score_table` lack pictures, and so are not to be ranked; or nothing."""
    lacking = int((~scores["complete"]).sum())
    if not lacking:
        return []
    each = f"{lacking} of {len(scores)} configurations have"
    return [f"{each} no score on some picture and are not ranked"]
