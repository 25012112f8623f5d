"""Which trials of a sweep may be compared, by what, and which of their settings are factors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.configuration import setting_text, varying_settings
from analysis.endings import by_scheduler, ended_by, ended_by_itself
from analysis.groups import BYSTANDERS, SEEDS, groups
from analysis.leaderboard import ranking_metric
from analysis.names import known_names
from analysis.sweep import Sweep
from analysis.trials import NUMBERS, SETTINGS
from dipray.folder import FINISHED

MOST_VALUES = 8  # of a factor whose values are compared one by one
_SOURCES = ("clean", "gt", "image")  # files that tell pictures apart, whatever their noise

Arm = Mapping[str, int]  # setting -> the key of its value


@dataclass(frozen=True)
class Comparable:
    """Fits that ended by themselves and have a score, and what tells them apart.

    trials: their rows, with `score`, `picture` (one for all noises of the same file) and `seeding`
    (a number for each combination of seeds). keys: for each varying setting that is no seed, a
    whole number for each of its values. factors: setting -> the settings that follow from it, in
    FitConfig's order. drawn: settings with too many values to compare one by one. diverged: the
    rows of fits that did, which have no quality. notes: what was left out and why, a sentence each.
    """

    trials: pd.DataFrame
    keys: pd.DataFrame
    metric: str
    factors: dict[str, list[str]]
    drawn: list[str]
    diverged: pd.DataFrame
    notes: list[str]

    @property
    def settings(self) -> list[str]:
        """The settings that vary, seeds apart."""
        return [str(name) for name in self.keys]

    def values(self, factor: str) -> dict[int, str]:
        """Key -> text of a factor's values, sorted, none first."""
        first = self.keys[factor].drop_duplicates()
        found = dict(zip(first, self.trials.loc[first.index, factor], strict=True))
        ordered = sorted(found, key=lambda key: _sortable(found[key]))
        texts = {key: setting_text(found[key]) for key in ordered}
        if len(set(texts.values())) < len(texts):  # three digits do not tell them apart
            texts = {key: str(found[key]) for key in ordered}
        return texts

    def members(self, arm: Arm) -> pd.Index:
        """The trials with these values."""
        return self.keys.index[(self.keys[list(arm)] == pd.Series(arm)).all(axis=1)]


def comparable(
    sweep: Sweep, *, metric: str | None = None, trials: Iterable[str] | str | None = None
) -> Comparable:
    """The comparable ones of `trials` (None: all), by `metric` (None: see `compared_by`).

    A fit that a scheduler ended has had fewer iterations than those that it is to be held against,
    and one that diverged has no quality: both are counted in the notes, not compared. A fit that
    was run again on another device, or looked at otherwise, is the same fit: it counts once.
    Raises UnknownNameError for a metric or trial that does not exist.
    """
    table = sweep.trials
    if trials is not None:
        table = table.loc[known_names("trial", trials, table.index)]
    metric = compared_by(sweep, table) if metric is None else metric
    known_names("metric", metric, NUMBERS)
    whole = len(table)
    table = _once(table)
    table = table.assign(
        score=table[metric].astype("float64"),
        picture=photographs(sweep, table["problem"]),
        seeding=table.groupby(list(SEEDS), dropna=False).ngroup(),
    )
    early, ended = by_scheduler(table), ended_by_itself(table)
    ours = table[ended & table["score"].notna()]
    diverged = table["outcome"] == "DIVERGED"

    notes = []
    if len(table) < whole:
        notes.append(
            f"{whole - len(table)} of {whole} fits repeat another with the same settings and "
            f"seeds, but for {_words(BYSTANDERS)}, and are left out."
        )
    if early.any():
        names = ", ".join(sorted(set(ended_by(table[early]))))
        notes.append(
            f"{_share(early)} ended early by {names} and left out: their "
            "budgets are not equal. The others are a selection, the scheduler's."
        )
    if diverged.any():
        values = _diverged_values(table[ended | diverged], diverged)
        where = f" ({'; '.join(values)})" if values else ""
        notes.append(f"{_share(diverged)} diverged and have no quality{where}.")
    unfinished = ~table["outcome"].isin(FINISHED)
    if unfinished.any():
        notes.append(f"{_share(unfinished)} not finished, or failed.")
    without = ended & table["score"].isna()
    if without.any():
        notes.append(f"{_share(without)} without a {metric}.")

    keys = _keys(ours)
    drawn = [str(name) for name in keys if keys[name].nunique() > MOST_VALUES]
    factors = _fold(keys.drop(columns=drawn), ours)
    return Comparable(ours, keys, metric, factors, drawn, table[diverged], notes)


def compared_by(sweep: Sweep, trials: pd.DataFrame) -> str:
    """What trials are ranked by, but a PSNR against the truth wherever that is known.

    A sweep may have to go by the loss or by what was held out; what a setting is good for is told
    by the picture.
    """
    ranked = ranking_metric(sweep, trials=trials)
    if not ranked.startswith(("loss", "val")):
        return ranked
    against_truth = "psnr_ema_peak" if "ema" in ranked else "psnr_peak"
    return ranking_metric(sweep, against_truth, trials=trials)


def _once(trials: pd.DataFrame) -> pd.DataFrame:
    """Of trials alike but for BYSTANDERS the first that came to an end, or the first."""
    came = ended_by_itself(trials) | (trials["outcome"] == "DIVERGED")
    kept = {came[rows.index].idxmax() for rows in groups(trials, ())}
    return trials[trials.index.isin(kept)]


def photographs(sweep: Sweep, problems: pd.Series) -> pd.Series:
    """The file that each trial's problem was made of, or the problem where none is known."""
    made = sweep.problems.set_index("name")
    known = [made[source] for source in _SOURCES if source in made]
    if not known:
        return problems
    files = pd.concat(known, axis=1).bfill(axis=1).iloc[:, 0].dropna().to_dict()
    return problems.map(lambda problem: str(files.get(problem, problem)))


def _keys(trials: pd.DataFrame) -> pd.DataFrame:
    apart = [name for name in varying_settings(trials) if name not in (*SEEDS, *BYSTANDERS)]
    keys = {name: pd.factorize(trials[name].map(repr))[0] for name in apart}
    return pd.DataFrame(keys, index=trials.index, columns=apart)


def _fold(keys: pd.DataFrame, trials: pd.DataFrame) -> dict[str, list[str]]:
    """Each setting with the later ones that follow from it, which are no factors of their own.

    A setting follows from a word if each word has one value of it (features from net), and from
    a number if they vary in step.
    """
    factors: dict[str, list[str]] = {}
    for name in sorted(map(str, keys), key=SETTINGS.index):
        for factor, companions in factors.items():
            follows = (keys.groupby(factor)[name].nunique() == 1).all()
            in_step = follows and keys[factor].nunique() == keys[name].nunique()
            if in_step or (follows and trials[factor].dtype in ("str", "bool")):
                companions.append(name)
                break
        else:
            factors[name] = []
    return factors


def _diverged_values(trials: pd.DataFrame, diverged: pd.Series) -> list[str]:
    """Values whose fits diverged clearly more often than all did, `optimizer sgd: 2 of 4`."""
    keys, overall = _keys(trials), diverged.loc[trials.index].mean()
    said = []
    for factor in _fold(keys, trials):
        counts = diverged.loc[trials.index].groupby(keys[factor]).agg(["sum", "size"])
        shares = counts["sum"] / counts["size"]
        if len(counts) > MOST_VALUES:
            continue
        texts = trials[factor].groupby(keys[factor]).first().map(setting_text)
        said += [
            f"{factor} {texts[key]}: {counts['sum'][key]} of {counts['size'][key]}"
            for key in shares.sort_values(ascending=False, kind="stable").index
            if shares[key] > 1.5 * overall
        ]
    return said


def _share(trials: pd.Series) -> str:
    return f"{int(trials.sum())} of {len(trials)} fits"


def _words(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


def _sortable(value: object) -> tuple[bool, object]:
    missing = not isinstance(value, tuple) and bool(pd.isna(value))  # type: ignore[call-overload]
    return (not missing, 0 if missing else value)
