"""One network going down its loss: weights, optimizer and what they are fitted to."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from dipray.compiling import compiled
from dipray.config import FitConfig
from dipray.device import Precision, memory_format
from dipray.metrics import tv
from dipray.models import build_network
from dipray.optim import MANNER, make_optimizer
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
    channels: (inputs, outputs) of the network. in_place: whether a step is to be recorded, with all
    that it needs on the device, the learning rate included.
    """

    def __init__(
        self,
        y: Tensor,
        operator: Operator,
        share: Tensor | None,
        *,
        config: FitConfig,
        channels: tuple[int, int],
        in_place: bool = False,
    ) -> None:
        self.y = y
        self.operator = operator
        self.share = share
        self.config = config
        self.precision = Precision(config, y.device)
        inputs, outputs = channels
        self.net = build_network(config, inputs=inputs, outputs=outputs).to(y.device)
        self.net.to(memory_format=memory_format(y.device))  # type: ignore[call-overload]
        self._picture_of = compiled(self.net) if config.compile == "on" else self.net
        self.parameters = list(self.net.parameters())
        self.optimizer = make_optimizer(self.parameters, config, in_place=in_place)

    def step(self, z: Tensor, lr: float | Tensor) -> State:
        """One optimizer step, and the state before it; nothing waits for the device.

        lr: a number, or 0-dim on the device where the steps are made in place.
        """
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        states: list[State] = []

        def closure() -> Any:  # torch types it as float, but hands on what it gets
            self.optimizer.zero_grad(set_to_none=True)
            with self.precision.forward():
                output = self._picture_of(z)
            output = output.float().contiguous()
            made = self.operator(output)
            data_loss, loss = self._losses(output, made)
            with self.precision.backward():
                loss.backward()
            if not states:  # LBFGS calls again, elsewhere on its line
                numbers = {"loss": loss.detach(), "data_loss": data_loss.detach(), **self._norms()}
                states.append(State(output.detach(), made.detach(), numbers))
            return loss

        with self.precision.iteration():
            self.optimizer.step(closure)
        return states[0]

    def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Output and loss, 0-dim, for an input: in fp32, differentiable as often as one likes."""
        output = self.net(z).contiguous()
        return output, self._losses(output, self.operator(output))[1]

    def state(self) -> dict[str, Any]:
        """What changes from step to step: weights, buffers, the optimizer's memory."""
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; raises what torch raises if it is of another network."""
        self.net.load_state_dict(state["net"])
        saved = state["optimizer"]
        groups = [
            {**theirs, **{name: ours[name] for name in MANNER if name in ours}}
            for theirs, ours in zip(saved["param_groups"], self.optimizer.param_groups, strict=True)
        ]
        self.optimizer.load_state_dict({**saved, "param_groups": groups})
        for parameter, memory in self.optimizer.state.items():
            for name, value in memory.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    # it may lie otherwise, saved on another kind of device
                    memory[name] = torch.empty_like(parameter).copy_(value)

    def _losses(self, output: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """The data's loss and the whole one; made: A(output)."""
        error = (made - self.y).square()
        data_loss = error.mean() if self.share is None else (self.share * error).sum()
        if not self.config.tv_weight:
            return data_loss, data_loss
        return data_loss, data_loss + self.config.tv_weight * tv(output)

    @torch.no_grad()
    def _norms(self) -> dict[str, Tensor]:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return {
            "grad_norm": get_total_norm(gradients),
            "weight_norm": get_total_norm(self.parameters),
        }
