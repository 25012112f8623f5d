"""The same sweep as Tune itself leaves it where the trainable reports every iteration."""

import json
import math
import time
from pathlib import Path
from typing import Any

from ray import tune
from ray.train._internal.storage import StorageContext
from ray.tune.experiment import Trial

from dipray.trace import Rows
from experiments.bench.made_folder import Size, made_traces

_SETTINGS = ("net", "features", "lr", "seed")
_RESULTS = "result.json"  # a line an iteration
_STATE = "experiment_state-2026-01-01_00-00-00.json"


def make_experiment(folder: Path, size: Size) -> Path:
    """Write the experiment for `ray.tune.ExperimentAnalysis`; about 2.3 GB for 1,000 x 3,000.

    A line of a trial's result.json is the row of its trace, without what is missing there, and
    what Tune adds to a report. The experiment's state comes last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage = StorageContext(folder.resolve().parent, folder.name)
    states = []
    for place, (config, rows) in enumerate(made_traces(size)):
        name = f"fit_{place:05d}"
        trial = _trial(name, {each: getattr(config, each) for each in _SETTINGS}, storage)
        last = _write_results(folder / name, trial, rows)
        trial.update_last_result(last)
        trial.set_status(Trial.TERMINATED)
        states.append(trial.get_json_state())
    state = {"trial_data": states, "runner_data": {}, "stats": {"start_time": time.time()}}
    (folder / _STATE).write_text(json.dumps(state))
    return folder


def _trial(name: str, point: dict[str, Any], storage: StorageContext) -> Any:
    trial: Any = Trial(
        "fit", config=point, trial_id=name, storage=storage, evaluated_params=point, stub=True
    )
    trial.relative_logdir = trial.storage.trial_dir_name = name
    trial.placement_group_factory = tune.PlacementGroupFactory([{"CPU": 1.0}])
    return trial


def _write_results(folder: Path, trial: Trial, rows: Rows) -> dict[str, Any]:
    """Write the lines, and give the last of them."""
    folder.mkdir(exist_ok=True)
    names, columns = list(rows), [values.tolist() for values in rows.values()]
    line: dict[str, Any] = {}
    with (folder / _RESULTS).open("w") as file:
        for step, values in enumerate(zip(*columns, strict=True), start=1):
            known = zip(names, values, strict=True)
            line = {
                **{name: value for name, value in known if not math.isnan(value)},
                "timestamp": 1_767_225_600 + step,
                "checkpoint_dir_name": None,
                "done": step == len(columns[0]),
                "training_iteration": step,
                "trial_id": trial.trial_id,
                "date": "2026-01-01_00-00-00",
                "time_this_iter_s": 0.04,
                "time_total_s": 0.04 * step,
                "pid": 4242,
                "hostname": "node",
                "node_ip": "127.0.0.1",
                "config": trial.config,
                "time_since_restore": 0.04 * step,
                "iterations_since_restore": step,
            }
            file.write(json.dumps(line) + "\n")
    return line
