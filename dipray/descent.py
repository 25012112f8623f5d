"""One network going down its loss: weights, optimizer and what they are fitted to."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from dipray.config import FitConfig
from dipray.device import Precision
from dipray.metrics import tv
from dipray.models import build_network
from dipray.optim import lr_at, make_optimizer
from dipray.problem import Operator


@dataclass(frozen=True)
class State:
    """What the network made before a step, detached: output, A(output) and 0-dim numbers."""

    output: Tensor
    made: Tensor
    numbers: dict[str, Tensor]


class Descent:
    """Fits A(net(z)) to y.

    y: (1, C, h, w); share: how much each of its values counts, sum 1, or None for all the same.
    channels: (inputs, outputs) of the network.
    """

    def __init__(
        self,
        y: Tensor,
        operator: Operator,
        share: Tensor | None,
        *,
        config: FitConfig,
        channels: tuple[int, int],
    ) -> None:
        self.y = y
        self.operator = operator
        self.share = share
        self.config = config
        self.precision = Precision(config, y.device)
        inputs, outputs = channels
        self.net = build_network(config, inputs=inputs, outputs=outputs).to(y.device)
        self.parameters = list(self.net.parameters())
        self.optimizer = make_optimizer(self.parameters, config)

    def step(self, z: Tensor, iteration: int) -> State:
        """One optimizer step, and the state before it; nothing waits for the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr_at(self.config, iteration)
        states: list[State] = []

        def closure() -> Any:  # torch types it as float, but hands on what it gets
            self.optimizer.zero_grad(set_to_none=True)
            with self.precision.forward():
                output = self.net(z)
            output = output.float()
            made = self.operator(output)
            data_loss = self._data_loss(made)
            loss = data_loss
            if self.config.tv_weight:
                loss = loss + self.config.tv_weight * tv(output)
            with self.precision.backward():
                loss.backward()
            if not states:  # LBFGS calls again, elsewhere on its line
                numbers = {"loss": loss.detach(), "data_loss": data_loss.detach(), **self._norms()}
                states.append(State(output.detach(), made.detach(), numbers))
            return loss

        with self.precision.iteration():
            self.optimizer.step(closure)
        return states[0]

    def state(self) -> dict[str, Any]:
        """What changes from step to step: weights, buffers, the optimizer's memory."""
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; raises what torch raises if it is of another network."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _data_loss(self, made: Tensor) -> Tensor:
        error = (made - self.y).square()
        return error.mean() if self.share is None else (self.share * error).sum()

    @torch.no_grad()
    def _norms(self) -> dict[str, Tensor]:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return {
            "grad_norm": get_total_norm(gradients),
            "weight_norm": get_total_norm(self.parameters),
        }
