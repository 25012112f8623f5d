"""load_sweep: from a place to a Sweep."""

from pathlib import Path
from typing import Any

from analysis.merge import MergedSweep
from analysis.sweep import Sweep
from analysis.trials import read_config, reason_of
from dipray.errors import DiprayError, FolderError
from dipray.folder import CONFIG, SWEEP, TRIALS
from dipray.store import Store


def load_sweep(location: str | Path | Store, *more: str | Path | Store) -> Sweep:
    """The sweep in a folder, given by path, URI or Store; a single fit is a sweep of one trial.

    Quick: lists the folder, and leaves the rest to the properties of the Sweep, which read when
    they are asked and keep what they read. Load again to see what has happened since.
    Several folders are merged into one Sweep, see `MergedSweep`; their trials are read at once.
    Raises FolderError if there is no sweep and no fit, or if two folders have different pictures of
    the same name.
    """
    stores: dict[str, Store] = {}
    for each in (location, *more):
        store = each if isinstance(each, Store) else Store(each)
        stores.setdefault(str(store), store)  # twice is once
    sweeps = [_load(store) for store in stores.values()]
    return sweeps[0] if len(sweeps) == 1 else MergedSweep(sweeps)


def _load(store: Store) -> Sweep:
    try:
        names, trials = store.names(), store.names(TRIALS)
    except OSError as error:
        raise FolderError(f"{store}: cannot be listed ({reason_of(error)})") from None
    if SWEEP in names or TRIALS in names:
        return _sweep(store, trials, has_description=SWEEP in names)
    if CONFIG in names:
        try:
            read_config(store)
        except DiprayError as error:
            raise FolderError(f"{store}: neither a sweep nor a fit ({error})") from None
        name = Path(store.location.partition("?")[0]).name  # s3://bucket/name?region=...
        return Sweep(store, folders={name: store})
    what = "holds neither a sweep nor a fit" if names else "is empty, or not a folder"
    raise FolderError(f"{store}: {what}; give a folder with {SWEEP}, {TRIALS} or {CONFIG}")


def _sweep(store: Store, trials: list[str], *, has_description: bool) -> Sweep:
    asked: dict[str, Any] = {}
    folders: dict[str, Store] = {}
    left_out = []
    if has_description:
        try:
            read = store.read_json(SWEEP)
            if not isinstance(read, dict):
                raise FolderError("not a description of a sweep")
            asked = read
        except FolderError as error:
            left_out.append(f"{SWEEP}: left out ({reason_of(error, SWEEP)})")
    for name in trials:
        try:
            folders[name] = store.child(TRIALS, name)
        except FolderError as error:
            left_out.append(f"{TRIALS}/{name}: left out ({reason_of(error)})")
    return Sweep(store, folders=folders, asked=asked, left_out=left_out)
