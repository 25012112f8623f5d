"""What is asked of CUDA to record a graph, and what is left when that breaks off; no GPU needed."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from dipray.capture import CaptureError, CudaGraphs, graphs_on, no_graphs


class Generator:
    """A state that recording touches."""

    def __init__(self, state: str) -> None:
        self.now = state

    def clone_state(self) -> str:
        return self.now

    def graphsafe_set_state(self, state: str) -> None:
        self.now = state


class Cuda:
    """Stands in for torch.cuda: notes what is asked, and breaks off as torch does."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.now = "default"
        self.default_generators = [Generator("default 0"), Generator("default 1")]

    def current_device(self) -> int:
        return 1

    def graph_pool_handle(self) -> str:
        return "pool"

    def current_stream(self) -> SimpleNamespace:
        return SimpleNamespace(wait_stream=lambda other: self.said.append(("main waits", other.on)))

    def Stream(self, device: torch.device) -> SimpleNamespace:  # noqa: N802 # torch's name
        waits = lambda _: self.said.append("side waits")  # noqa: E731
        return SimpleNamespace(on=device, wait_stream=waits)

    @contextlib.contextmanager
    def device(self, device):
        yield self.said.append(device)

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.now = self.now, "side"
        yield
        self.now = before

    def CUDAGraph(self) -> SimpleNamespace:  # noqa: N802 # torch's name
        registered = lambda generator: self.said.append(("registered", generator.now))  # noqa: E731
        return SimpleNamespace(register_generator_state=registered, replay=lambda: None)

    def graph(self, graph, pool, stream, *, capture_error_mode):
        outer = self

        class Recording:
            def __enter__(self) -> None:
                outer.said.append((pool, capture_error_mode, outer.now))

            def __exit__(self, kind, *_) -> None:
                if kind is not None:  # the stream is not put back, and another error raised
                    outer.now = "lost"
                    raise RuntimeError("operation failed due to a previous error during capture")

        return Recording()


@pytest.fixture
def cuda(monkeypatch):
    stand_in = Cuda()
    monkeypatch.setattr("dipray.capture.torch.cuda", stand_in)
    monkeypatch.setattr(CudaGraphs, "_broken", [])
    return stand_in


def test_warming_up_and_recording_happen_on_one_stream(cuda):
    graphs, streams = CudaGraphs(torch.device("cuda"), Generator("own")), []
    graphs.aside(lambda: streams.append(cuda.now))
    graphs.record(lambda: streams.append(cuda.now))
    assert streams == ["side", "side"] and cuda.now == "default"
    here = torch.device("cuda", 1)
    waits = ["side waits", ("main waits", here)]
    recording = [("registered", "own"), here, ("pool", "thread_local", "side")]
    assert cuda.said == [here, *waits, *recording]


def test_what_is_recorded_is_replayed_by_its_graph(cuda):
    ran = []
    replay = CudaGraphs(torch.device("cuda", 0), Generator("own")).record(lambda: ran.append(1))
    replay()
    assert ran == [1] and CudaGraphs._broken == []


def test_a_recording_that_breaks_off_leaves_all_as_it_was(cuda):
    own = Generator("own")
    graphs = CudaGraphs(torch.device("cuda", 0), own)

    def work():
        own.now = cuda.default_generators[0].now = "being recorded"
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    with pytest.raises(CaptureError) as caught:
        graphs.record(work)
    assert str(caught.value) == "RuntimeError: operation not permitted when stream is capturing"
    assert (own.now, cuda.default_generators[0].now) == ("own", "default 0")
    assert cuda.now == "default"
    assert len(CudaGraphs._broken) == 1


def test_graphs_are_of_cuda_alone(cuda):
    generator = Generator("own")
    assert graphs_on(torch.device("cpu"), generator) is None
    assert graphs_on(torch.device("mps"), generator) is None
    assert isinstance(graphs_on(torch.device("cuda"), generator), CudaGraphs)
    assert no_graphs(torch.device("cuda"), generator) is None


def test_torch_has_what_is_asked_of_it():
    """Names and arguments that a version of torch without a GPU shows as well."""
    graph = torch.cuda.graph.__init__.__code__.co_varnames
    assert graph[1:4] == ("cuda_graph", "pool", "stream") and "capture_error_mode" in graph
    assert {"clone_state", "graphsafe_set_state"} <= set(dir(torch.Generator))
    assert {"current_device", "current_stream", "device", "stream"} <= set(dir(torch.cuda))
