"""Recording what is done to tensors on a device, to repeat it without the host: CUDA graphs.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections.abc import Callable
from typing import ClassVar, Protocol

import torch

Work = Callable[[], object]


class CaptureError(Exception):
    """What cannot be recorded, and why; nothing has changed."""


class Capture(Protocol):
    """Makes recordings."""

    def aside(self, work: Work) -> None:
        """Run `work` where recordings are made, for all that sets itself up at a first call.

        Memory, handles of libraries and plans of transforms cannot be had while recording.
        """
        ...

    def record(self, work: Work) -> Callable[[], None]:
        """Note what `work` does to tensors, without doing it; what is returned does it.

        It is done to the same memory each time, without running `work`'s Python. Raises
        CaptureError.
        """
        ...


class CudaGraphs:
    """CUDA graphs on one device, which share their memory and so must not run at the same time.

    generator: the one that `work` draws from; each replay draws as the work itself would have.
    """

    _broken: ClassVar[list[torch.cuda.CUDAGraph]] = []  # torch's allocator may still look at those

    def __init__(self, device: torch.device, generator: torch.Generator) -> None:
        index = torch.cuda.current_device() if device.index is None else device.index
        self._device = torch.device("cuda", index)
        self._generator = generator
        self._stream = torch.cuda.Stream(self._device)
        self._pool = torch.cuda.graph_pool_handle()

    def aside(self, work: Work) -> None:
        """Run `work` on the stream that recordings are made on."""
        with torch.cuda.device(self._device):
            here = torch.cuda.current_stream()
            self._stream.wait_stream(here)
            with torch.cuda.stream(self._stream):
                work()
            here.wait_stream(self._stream)

    def record(self, work: Work) -> Callable[[], None]:
        """A graph of `work`, whose replay is what is returned. Raises CaptureError."""
        generators = [self._generator, torch.cuda.default_generators[self._device.index]]
        untouched = [generator.clone_state() for generator in generators]
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        # torch leaves its stream to us if recording breaks off
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            try:
                # other threads may do with their streams what they like
                with torch.cuda.graph(
                    graph, self._pool, self._stream, capture_error_mode="thread_local"
                ):
                    work()
                reason = ""
            except Exception as error:  # whatever a foreign operator runs into
                reason = _reason(error)
        if not reason:
            return graph.replay
        self._broken.append(graph)
        for generator, state in zip(generators, untouched, strict=True):
            generator.graphsafe_set_state(state)  # the one in use believes to be recorded
        raise CaptureError(reason)


def _reason(error: BaseException) -> str:
    """One line on the first error; the end of a recording that broke off raises another."""
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def graphs_on(device: torch.device, generator: torch.Generator) -> Capture | None:
    """How a fit on this device is recorded, None for not at all."""
    return CudaGraphs(device, generator) if device.type == "cuda" else None


def no_graphs(_device: torch.device, _generator: torch.Generator) -> Capture | None:
    """Not at all, on any device: what graphs are measured beside."""
    return None
