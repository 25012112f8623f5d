"""What a sweep with faults lacks, held against the same sweep without."""

from dataclasses import dataclass, fields

import numpy as np

from analysis import Sweep, load_sweep
from dipray.folder import FINISHED, TRIALS
from dipray.store import Store
from dipray.trace import COLUMN_NAMES

_COMPARED = [name for name in COLUMN_NAMES if name not in ("iteration", "seconds")]


@dataclass(frozen=True)
class Damage:
    """All are 0 where the faults did no harm.

    trials_lost: not finished in the end. rows_lost, rows_doubled: iterations of traces.
    values_changed: numbers of the traces that are not the same to the bit, seconds apart.
    pictures_changed: files that differ or are missing.
    """

    trials_lost: int = 0
    rows_lost: int = 0
    rows_doubled: int = 0
    values_changed: int = 0
    pictures_changed: int = 0

    def __add__(self, other: "Damage") -> "Damage":
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Damage(**sums)

    @property
    def is_none(self) -> bool:
        """Whether nothing was harmed."""
        return self == Damage()


def damage(store: Store, reference: Store) -> Damage:
    """Hold one sweep's folder against another of the same trials."""
    ours, whole = load_sweep(store), load_sweep(reference)
    total = Damage()
    for trial in whole.trials.index:
        total += _of_trial(str(trial), ours, whole)
    return total


def _of_trial(trial: str, ours: Sweep, whole: Sweep) -> Damage:
    wanted = whole.traces(trials=trial)
    if trial not in ours.trials.index:
        return Damage(trials_lost=1, rows_lost=len(wanted))
    found = ours.traces(trials=trial)
    first = found.drop_duplicates("iteration").set_index("iteration")
    wanted = wanted.set_index("iteration")
    both = wanted.index.intersection(first.index)
    left, right = (frame.loc[both, _COMPARED].to_numpy() for frame in (first, wanted))
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    folders = [sweep.store.child(TRIALS, trial) for sweep in (ours, whole)]
    return Damage(
        trials_lost=int(ours.trials.loc[trial, "outcome"] not in FINISHED),
        rows_lost=len(wanted.index.difference(first.index)),
        rows_doubled=len(found) - len(first),
        values_changed=int((~same).sum()),
        pictures_changed=sum(
            not folders[0].exists(name) or folders[0].read(name) != folders[1].read(name)
            for name in _pictures(folders[1])
        ),
    )


def _pictures(folder: Store) -> list[str]:
    own = [name for name in folder.names() if name.endswith(".png")]
    return own + [f"snapshots/{name}" for name in folder.names("snapshots")]
