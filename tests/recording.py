"""What a CUDA graph does, on a CPU: operations are noted with their memory, and repeated there."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dipray.capture import CaptureError, Work

WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal")  # for the device


def tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def written(func, args, kwargs) -> Iterator[Tensor]:
    for at, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from tensors(args[at] if at < len(args) else kwargs.get(argument.name))


class Tape(TorchDispatchMode):
    """Notes every operation; refuses those that a recording on a GPU refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}  # memory from outside, as it was
        self._own: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        # numbers of the host come to the device by a copy that waits; a single one may go along
        # with an operation
        if name in WAITING or (name == "lift_fresh" and args[0].dim()):
            raise RuntimeError(f"{func} while recording")
        for tensor in written(func, args, kwargs):
            at = memory(tensor)
            if at not in self._own and at not in self.before:
                whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
                self.before[at] = (whole, whole.clone())
        made = func(*args, **kwargs)
        given = {memory(tensor) for tensor in tensors((args, kwargs))}
        fresh = [memory(tensor) not in given for tensor in tensors(made)]
        self._own |= {memory(t) for t, new in zip(tensors(made), fresh, strict=True) if new}
        self.operations.append((func, args, kwargs, made, fresh))
        return made


class Tapes:
    """A Capture on the CPU. `recorded` and `replayed` count; `aside` is done as it is."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator
        self.recorded = self.replayed = self.aside_runs = 0

    def aside(self, work: Work) -> None:
        self.aside_runs += 1
        work()

    def record(self, work: Work) -> Callable[[], None]:
        drawn, tape = self._generator.get_state(), Tape()
        reason = ""
        try:
            with tape:
                work()
        except Exception as error:
            reason = str(error)
        for whole, copy in tape.before.values():
            whole.copy_(copy)
        self._generator.set_state(drawn)
        if reason:
            raise CaptureError(reason)
        self.recorded += 1
        operations = [
            each for each in tape.operations if any(each[4]) or each[0]._schema.is_mutable
        ]

        @torch.no_grad()
        def replay() -> None:
            self.replayed += 1
            for func, args, kwargs, made, fresh in operations:
                again = func(*args, **kwargs)
                for old, new, is_fresh in zip(tensors(made), tensors(again), fresh, strict=True):
                    if is_fresh:
                        old.copy_(new)

        return replay


class Refusing(Tapes):
    """Cannot record anything."""

    def record(self, work: Work) -> Callable[[], None]:
        raise CaptureError("no recording today")
