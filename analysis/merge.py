"""MergedSweep: several folders of the same study read as one sweep."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import combinations

from analysis.problems import Problems
from analysis.sweep import Sweep
from analysis.trials import NUMBERS, SETTINGS, Row, read_config
from dipray.errors import FolderError
from dipray.folder import FINISHED, SWEEP, TRIALS, trial_id

_COMPARED = tuple(name for name in NUMBERS if name.startswith(("psnr", "loss")))

Rows = dict[str, Row]


class MergedSweep(Sweep):
    """The trials of several sweeps, each once; made by `load_sweep`.

    A trial that lies in several folders is taken from where it came furthest: to its end before
    not, then with more iterations, then the first. `asked` is that of the first folder that has
    one. Complaints begin with their folder; finished doubles with other numbers are among them.
    Reads all trials and problems when it is made. Raises FolderError for two pictures of one name.
    """

    def __init__(self, parts: Sequence[Sweep]) -> None:
        _same_pictures(parts)
        self._parts = list(parts)
        named = [_by_hash(part) for part in parts]  # id -> the trial's name in its part
        rows = [
            {id_: part._rows[0][name] for id_, name in names.items()}
            for part, names in zip(parts, named, strict=True)
        ]
        ids = dict.fromkeys(id_ for each in rows for id_ in each)
        taken = {id_: _furthest(id_, rows) for id_ in ids}
        self._merged_rows = {id_: rows[at][id_] for id_, at in taken.items()}
        self._origin = {id_: (parts[at], named[at][id_]) for id_, at in taken.items()}
        super().__init__(
            parts[0].store,
            folders={id_: part._folders[name] for id_, (part, name) in self._origin.items()},
            asked=next((part.asked for part in parts if part.asked), {}),
            left_out=[
                *_other_metrics(parts),
                *_other_numbers(parts, rows, taken),
                *_prefixed(parts, [part._listing_complaints for part in parts]),
            ],
        )
        self.stores = tuple(part.store for part in parts)

    @cached_property
    def _rows(self) -> tuple[Rows, list[str]]:
        return self._merged_rows, _prefixed(self._parts, [part._rows[1] for part in self._parts])

    @cached_property
    def _problems(self) -> Problems:
        found = Problems()
        known = [part._problems for part in self._parts]
        methods: set[tuple[str, str]] = set()
        for each in known:
            found.rows |= each.rows | found.rows  # of the same name the first
            ours = [row for row in each.baselines if (row["problem"], row["method"]) not in methods]
            methods |= {(row["problem"], row["method"]) for row in ours}
            found.baselines += ours
            for name, places in each.places.items():
                found.places[name] = [*found.places.get(name, []), *places]
        found.said = _prefixed(self._parts, [each.said for each in known])
        return found

    def _place(self, trial: str, complaint: str) -> str:
        part, name = self._origin[trial]
        return f"{part.store}: {part._place(name, complaint)}"


def _same_pictures(parts: Sequence[Sweep]) -> None:
    """Raise FolderError if a name stands for different pictures or noises in two parts."""
    known = [_fingerprints(part) for part in parts]
    for (one, ours), (other, theirs) in combinations(zip(parts, known, strict=True), 2):
        for name in ours:
            if name in theirs and ours[name] != theirs[name]:
                raise FolderError(
                    f"{one.store} and {other.store}: {name!r} is not the same in both, but another "
                    "picture or other noise; load them one by one"
                )


def _fingerprints(part: Sweep) -> dict[str, set[str]]:
    """A problem's name -> the fingerprints that it and its trials have; unknown ones left out."""
    found: dict[str, set[str]] = {}
    said = [(name, row["fingerprint"]) for name, row in part._problems.rows.items()]
    said += [(row["problem"], row["fingerprint"]) for row in part._rows[0].values()]
    for name, fingerprint in said:
        if fingerprint is not None:
            found.setdefault(name, set()).add(str(fingerprint))
    return found


def _by_hash(part: Sweep) -> dict[str, str]:
    """The hash by which a trial is known everywhere -> its name in the part.

    They are the same but for a single fit, whose folder has any name.
    """
    rows = part._rows[0]
    return {
        trial_id(row["problem"], str(row["fingerprint"] or ""), read_config(part.store))
        if part._folders[name] is part.store
        else name: name
        for name, row in rows.items()
    }


def _furthest(id_: str, rows: Sequence[Rows]) -> int:
    """The place of the part whose trial came furthest; of equals the first."""

    def came(at: int) -> tuple[bool, int]:
        row = rows[at][id_]
        return row["outcome"] in FINISHED, int(row["iterations_run"] or 0)

    return max((at for at in range(len(rows)) if id_ in rows[at]), key=came)


def _other_metrics(parts: Sequence[Sweep]) -> list[str]:
    metrics = {str(part.store): part.asked["metric"] for part in parts if part.asked.get("metric")}
    if len({str(metric) for metric in metrics.values()}) < 2:
        return []
    said = ", ".join(f"{metric} in {place}" for place, metric in metrics.items())
    return [f"{SWEEP}: the metrics are not the same ({said}); the first counts"]


def _other_numbers(
    parts: Sequence[Sweep], rows: Sequence[Rows], taken: dict[str, int]
) -> Iterator[str]:
    """Complaints about doubles of finished trials that should be alike, and are not."""
    for id_, at in taken.items():
        ours = rows[at][id_]
        for part, each in zip(parts, rows, strict=True):
            theirs = each.get(id_, ours)
            differing = _differing(ours, theirs)
            if differing:
                yield (
                    f"{part.store}: {TRIALS}/{id_}: left out, although it has other "
                    f"{', '.join(differing[:4])} than in {parts[at].store}"
                )


def _differing(one: Row, other: Row) -> list[str]:
    settings = [name for name in SETTINGS if one[name] != other[name]]
    both_finished = one["outcome"] in FINISHED and other["outcome"] in FINISHED
    # a scheduler may have ended one of them earlier, which is no contradiction
    if settings or not both_finished or one["iterations_run"] != other["iterations_run"]:
        return settings
    return [name for name in _COMPARED if one[name] != other[name]]


def _prefixed(parts: Sequence[Sweep], complaints: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"{part.store}: {line}"
        for part, lines in zip(parts, complaints, strict=True)
        for line in lines
    ]
