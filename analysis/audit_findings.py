"""What an audit found, in plain sentences."""

from collections.abc import Iterator

import pandas as pd

from analysis.audit import WHOLE_FIT
from analysis.audit_runs import Audited
from analysis.audit_tables import audit_table, correlation_table


def audit_sentences(audit: Audited) -> list[str]:
    """A sentence for each finding, task by task: the choice, the rules, the ranks; then the notes.

    Intervals are 95 %, over pictures.
    """
    choice, fits = audit_table(audit.choice), audit_table(audit.fits)
    ranks = correlation_table(audit.correlation)
    said = []
    for task in dict.fromkeys([*choice["task"], *fits["task"]]):
        ours = [table[table["task"] == task] for table in (choice, fits, ranks)]
        lines = [*_of_choice(audit, ours[0]), *_of_rules(audit, ours[1]), *_of_ranks(ours[2])]
        said += [f"{task}: {line}" for line in lines]
    return [*said, *audit.notes]


def interval_text(row: pd.Series, name: str, *, digits: int = 2) -> str:
    """`0.21 (0.10 to 0.32)`; the number alone where there is no interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if pd.isna(low):
        return f"{row[name]:.{digits}f}"
    return f"{row[name]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _of_choice(audit: Audited, table: pd.DataFrame) -> Iterator[str]:
    for _, row in table[table["rule"] == WHOLE_FIT].iterrows():
        rows = audit.choice[audit.choice["rule"] == WHOLE_FIT]
        rows = rows[rows["task"] == row["task"]]
        blind = rows.groupby("picture")["blind_loss"].mean().mean()
        drawn = "" if pd.isna(blind) else f" (one drawn at random would lose {blind:.2f})"
        yield (
            f"what the held-out error chooses, of all fits and iterations, is "
            f"{interval_text(row, 'regret')} dB below the best that there was "
            f"({_count(row['pictures'], 'picture')}; at worst {row['worst']:.2f}): "
            f"{row['configuration_loss']:.2f} by the configuration{drawn} and "
            f"{row['iteration_loss']:.2f} by the iteration."
        )


def _of_rules(audit: Audited, table: pd.DataFrame) -> Iterator[str]:
    ours = _same_fits(audit.fits[audit.fits["task"].isin(table["task"])])
    if ours["rule"].nunique() > 1:
        means = audit_table(ours).sort_values("iteration_loss", kind="stable")
        named = [f"{row['rule']} {row['iteration_loss']:.2f}" for _, row in means.iterrows()]
        yield (
            f"the picked iteration alone loses on average {', '.join(named)} dB (the same "
            f"{_count(means['picks'].max(), 'fit')})."
        )
    for share, said in (
        ("early", "most picks are too early with"),
        ("late", "most picks are too late with"),
        ("never", "the budget ended before the rule fired in most fits with"),
    ):
        rules = [f"{row['rule']} ({row[share]:.0%})" for _, row in _most(table, share)]
        if rules:
            yield f"{said} {', '.join(rules)}."
    for _, row in _most(table[table["rule"] == "budget"], "in time"):
        yield (
            f"{row['in time']:.0%} of the fits that ran to their budget were within "
            f"{audit.tolerance:g} dB of their best average at its end: these cannot tell a "
            "rule from none."
        )


def _same_fits(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the fits in which all rules have a pick, but for rules that have few."""
    counts = rows["rule"].value_counts()
    rows = rows[rows["rule"].map(counts) >= counts.max() / 2]
    rules = rows.groupby(["run", "trial"])["rule"].transform("nunique")
    return rows[rules == rows["rule"].nunique()]


def _most(table: pd.DataFrame, share: str) -> list[tuple[object, pd.Series]]:
    return list(table[table[share] > 0.5].iterrows())


def _of_ranks(table: pd.DataFrame) -> Iterator[str]:
    for _, row in table.iterrows():
        name = "best" if pd.isna(row["picked"]) else "picked"
        if pd.isna(row[name]):
            continue
        what = "the best average" if name == "best" else "what it would hand out"
        yield (
            f"Spearman's rho of a fit's {row['metric']} with the PSNR of {what} is "
            f"{interval_text(row, name)} ({_count(row['pictures'], 'picture')}, "
            f"{_count(row['fits'], 'fit')}; at worst {row[f'{name}_worst']:.2f})."
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
