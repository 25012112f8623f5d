"""The draws of one Optuna search, each in a file, so that a later call can tell Optuna of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import TrialState

from dipray.errors import FolderError
from dipray.store import Store


@dataclass(frozen=True)
class Draw:
    """What Optuna drew for a trial: its number in the study, and its parameters by name."""

    number: int
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]

    def told(self, value: float | None) -> optuna.trial.FrozenTrial:
        """As a finished trial of a study; None: it came to nothing."""
        return optuna.trial.create_trial(
            params=dict(self.params),
            distributions=dict(self.distributions),
            value=value,
            state=TrialState.FAIL if value is None else TrialState.COMPLETE,
        )


class Draws:
    """Those of one search, in a folder of their own; known by the trial that they became.

    asked: plain data that tells the search from others. Raises FolderError.
    """

    def __init__(self, sweep: Store, asked: Any) -> None:
        text = json.dumps(asked, sort_keys=True)
        self._store = sweep.child("studies", hashlib.sha256(text.encode()).hexdigest()[:12])

    def read(self) -> dict[str, Draw]:
        """Trial -> draw, in the order in which they were drawn."""
        draws = {}
        for name in self._store.names():
            if not name.endswith(".json"):
                continue
            said = self._store.read_json(name)
            try:
                draws[name.removesuffix(".json")] = Draw(
                    int(said["number"]),
                    {key: value for key, (value, _) in said["params"].items()},
                    {key: json_to_distribution(kind) for key, (_, kind) in said["params"].items()},
                )
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise FolderError(
                    f"{self._store}/{name}: not a draw of a search ({error})"
                ) from None
        return dict(sorted(draws.items(), key=lambda item: item[1].number))

    def add(self, trial: str, asked: optuna.Trial) -> None:
        """Write down what was drawn for a trial."""
        params = {
            name: [asked.params[name], distribution_to_json(kind)]
            for name, kind in asked.distributions.items()
        }
        self._store.write_json(f"{trial}.json", {"number": asked.number, "params": params})
