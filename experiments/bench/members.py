"""Several fits of one shape on one device, made in different ways: each a bare iteration of all.

A bare iteration is forward, backward and Adam's step: what a fused network could save on. All ways
start from the same weights and go down the same losses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from dipray.config import FitConfig
from dipray.models import build_network

Run = Callable[[int], None]


@dataclass(frozen=True)
class Crowd:
    """So many skip networks of one shape, of pictures with side x side pixels."""

    members: int
    depth: int
    features: int
    side: int
    device: str = "cpu"

    def networks(self) -> list[nn.Module]:
        """Each with its own seed."""
        config = FitConfig(depth=self.depth, features=self.features)
        return [
            build_network(config.replace(seed=seed), inputs=32, outputs=3).to(self.device)
            for seed in range(self.members)
        ]

    def data(self) -> tuple[Tensor, Tensor]:
        """Inputs (members, 1, 32, side, side) and pictures (members, 1, 3, side, side)."""
        generator = torch.Generator().manual_seed(0)
        draw = [
            torch.rand(self.members, 1, channels, self.side, self.side, generator=generator)
            for channels in (32, 3)
        ]
        return draw[0].to(self.device), draw[1].to(self.device)


class Separate:
    """One after the other. losses: (members,), of the iteration before."""

    def __init__(self, crowd: Crowd) -> None:
        self.networks = crowd.networks()
        self.z, self.y = crowd.data()
        # with its counts on a GPU a step can be recorded
        capturable = crowd.device != "cpu"
        self.optimizers = [
            torch.optim.Adam(n.parameters(), lr=0.01, fused=True, capturable=capturable)
            for n in self.networks
        ]
        self.losses = torch.zeros(crowd.members, device=crowd.device)

    def step(self, member: int) -> None:
        """An iteration of one of them."""
        self.optimizers[member].zero_grad()
        loss = (self.networks[member](self.z[member]) - self.y[member]).square().mean()
        loss.backward()
        self.optimizers[member].step()
        self.losses[member] = loss.detach()

    def run(self, iterations: int) -> None:
        """Iterations of all."""
        for _ in range(iterations):
            for member in range(len(self.networks)):
                self.step(member)
        _wait(self.z)


class Fused:
    """One network of grouped convolutions, by torch.func.vmap over the members' weights."""

    def __init__(self, crowd: Crowd) -> None:
        networks = crowd.networks()
        self.weights, _ = stack_module_state(networks)
        self.frame = networks[0].to("meta")
        self.z, self.y = crowd.data()
        self.optimizer = torch.optim.Adam(self.weights.values(), lr=0.01, fused=True)
        self.losses = torch.zeros(crowd.members, device=crowd.device)

    def run(self, iterations: int) -> None:
        """Iterations of all."""

        def loss_of(weights: dict[str, Tensor], z: Tensor, y: Tensor) -> Tensor:
            picture: Tensor = functional_call(self.frame, weights, (z,))
            return (picture - y).square().mean()

        for _ in range(iterations):
            self.optimizer.zero_grad()
            losses = torch.vmap(loss_of)(self.weights, self.z, self.y)
            losses.sum().backward()
            self.optimizer.step()
            self.losses = losses.detach()
        _wait(self.z)


class Streams(Separate):
    """On a GPU: each on its own stream, all in one graph that is replayed."""

    WARM_UP = 3

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(crowd)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(self.WARM_UP):
                for member in range(crowd.members):
                    self.step(member)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        streams = [torch.cuda.Stream() for _ in range(crowd.members)]
        with torch.cuda.graph(self.graph):
            here = torch.cuda.current_stream()
            for member, stream in enumerate(streams):
                stream.wait_stream(here)
                with torch.cuda.stream(stream):
                    self.step(member)
            for stream in streams:
                here.wait_stream(stream)

    def run(self, iterations: int) -> None:
        """Iterations of all."""
        for _ in range(iterations):
            self.graph.replay()
        _wait(self.z)


def _wait(tensor: Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize()


def separate(crowd: Crowd) -> Run:
    """To run in a process of its own."""
    return Separate(crowd).run


def fused(crowd: Crowd) -> Run:
    """To run in a process of its own."""
    return Fused(crowd).run


def streams(crowd: Crowd) -> Run:
    """To run in a process of its own."""
    return Streams(crowd).run
