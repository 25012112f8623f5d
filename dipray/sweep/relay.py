"""A folder on the driver's disk, for workers on nodes that do not see that disk."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dipray.errors import FolderError
from dipray.folder import SWEEP
from dipray.store import Store, checked_names

CALL = "call"  # in sweep.json: what tells this call's folder from a copy of it elsewhere


class Desk:
    """Reads and writes below one folder, for whoever asks; an actor on the driver's node."""

    def __init__(self, location: str) -> None:
        self._root = Store(location)

    def do(self, names: tuple[str, ...], verb: str, *given: Any) -> Any:
        """One method of Store on the folder that these names lead to; raises FolderError."""
        folder = self._root.child(*names) if names else self._root
        method: Callable[..., Any] = getattr(folder, verb)
        return method(*given)


def open_desk(store: Store) -> Any:
    """The handle of a Desk for the driver's folder; it ends with the driver."""
    here = ray.get_runtime_context().get_node_id()
    as_actor: Any = ray.remote(Desk)
    return as_actor.options(
        num_cpus=0,
        max_concurrency=8,
        max_restarts=-1,
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
    ).remote(str(store))


class RelayedStore(Store):
    """A Store that leaves all work to a Desk. Pickles with the Desk's handle."""

    def __init__(self, location: str, desk: Any, names: tuple[str, ...] = ()) -> None:
        self.location = location
        self.is_local = False
        self._desk = desk
        self._names = names

    def __reduce__(self) -> tuple[Any, ...]:
        return (RelayedStore, (self.location, self._desk, self._names))

    def child(self, *names: str) -> "RelayedStore":
        """The folder below this one; it need not exist. Names may not lead out of it."""
        checked_names(names, self.location)
        below = "/".join([self.location, *names])
        return RelayedStore(below, self._desk, (*self._names, *names))

    def _ask(self, verb: str, *given: Any) -> Any:
        try:
            return ray.get(self._desk.do.remote(self._names, verb, *given))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise FolderError(f"{self.location}: the driver does not answer ({error})") from None

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole, making folders on the way."""
        self._ask("write", name, data)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        data: bytes = self._ask("read", name)
        return data

    def open(self, name: str) -> pa.NativeFile:
        """A file to read parts of; close it."""
        return pa.BufferReader(self.read(name))

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of that name."""
        return bool(self._ask("exists", name))

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of what lies in a folder of this one; none if it does not exist."""
        found: list[str] = self._ask("names", folder)
        return found

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all it holds; nothing happens if there is none."""
        self._ask("remove", name)


def reachable(store: Store, call: str, desk: Any) -> Store:
    """The sweep's folder as this node reaches it: by itself, or by the driver's Desk.

    A node may have a folder of that name that is another one, so the call's mark is looked for.
    """
    if desk is None:
        return store
    try:
        said = store.read_json(SWEEP)
    except FolderError:
        said = None
    if isinstance(said, dict) and said.get(CALL) == call:
        return store
    return RelayedStore(str(store), desk)
