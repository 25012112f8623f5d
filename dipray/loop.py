"""The loop: one network fitted to one problem, block by block."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import get_total_norm

from dipray.config import FitConfig
from dipray.device import Precision, resolve_device
from dipray.inputs import JitteredInput
from dipray.keeper import Keeper
from dipray.metrics import Panel, tv
from dipray.models import build_network
from dipray.optim import lr_at, make_optimizer
from dipray.problem import Problem
from dipray.stopping import CHECK_EVERY, Never, asks_to_stop, make_rule
from dipray.trace import COLUMN_NAMES, Rows, Summary, concatenate


class Outcome(StrEnum):
    """How a fit ended: at its budget, by its rule, or by going non-finite."""

    BUDGET = "BUDGET"
    STOPPED = "STOPPED"
    DIVERGED = "DIVERGED"


@dataclass(frozen=True)
class Block:
    """Consecutive iterations: their rows of the trace, and the outcome if they were the last.

    snapshot: the output of the last of them, (1, C, H, W) on the fit's device, where the
    configuration asks for it.
    """

    rows: Rows
    outcome: Outcome | None
    snapshot: Tensor | None = None


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves: images (1, C, H, W) on the CPU, the trace as arrays, the outcome.

    images: final, ema, and with a reference peak and peak_ema.
    trace: column -> float64 array, one value an iteration, NaN where it was not computed.
    summary: peaks, last values and length as plain numbers, None where the problem lacks them.
    snapshots: iteration -> its output, like an image.
    """

    images: dict[str, Tensor]
    trace: dict[str, NDArray[np.float64]]
    outcome: Outcome
    summary: dict[str, float | int | None]
    snapshots: dict[int, Tensor]


class Fit:
    """A fit under way. `blocks` advances it; everything that changes is an attribute.

    Raises ConfigError, before any work, if the configuration does not suit the problem or machine.
    """

    def __init__(self, problem: Problem, config: FitConfig) -> None:
        channels, height, width = problem.picture_shape
        config.check_size(height, width)
        self.config = config
        self.device = resolve_device(config)
        self.precision = Precision(config, self.device)
        self.rule = make_rule(config, has_reference=problem.reference is not None)
        self.problem = problem.to(self.device)
        self.input = JitteredInput(config, height, width, self.device)
        inputs = self.input.clean.shape[1]
        self.net = build_network(config, inputs=inputs, outputs=channels).to(self.device)
        self.parameters = list(self.net.parameters())
        self.optimizer = make_optimizer(self.parameters, config)
        self.panel = Panel(
            self.problem.reference,
            hole=self.problem.hole,
            luma=problem.luma,
            trim=problem.trim,
        )
        blank = torch.zeros(1, channels, height, width, device=self.device)
        kept = [] if problem.reference is None else ["psnr", "psnr_ema"]
        self.keeper = Keeper(blank, ema_decay=config.ema_decay, columns=kept)
        self._unknown = torch.tensor(torch.nan, device=self.device)
        self.iteration = 0
        self.seconds = 0.0
        self.outcome: Outcome | None = None
        weight = self.problem.weight
        self._weight = None if weight is None else weight / weight.expand_as(self.problem.y).sum()
        self._snapshots = config.snapshot_iterations()

    def blocks(self, size: int = 100) -> Iterator[Block]:
        """Run to the end, yielding at most `size` iterations at a time.

        They end at multiples of `size`, at snapshots, and where the rule is asked; where they end
        changes nothing of what is computed.
        """
        while self.outcome is None:
            done = self.iteration
            ends = [self.config.iterations, done + size - done % size]
            ends += [at for at in self._snapshots if at > done][:1]
            if not isinstance(self.rule, Never):
                ends.append(done + CHECK_EVERY - done % CHECK_EVERY)
            yield self._block(min(ends) - done)

    def _block(self, length: int) -> Block:
        started = time.perf_counter()
        buffer = torch.empty((length, len(COLUMN_NAMES)), device=self.device)
        for row in buffer:
            self.iteration += 1
            values = self._iterate()
            torch.stack([values.get(name, self._unknown) for name in COLUMN_NAMES], out=row)
        table = buffer.cpu().double().numpy()  # the block's only wait for the device
        rows = dict(zip(COLUMN_NAMES, table.T, strict=True))
        first = self.iteration - length + 1
        rows["iteration"] = np.arange(first, self.iteration + 1, dtype=np.float64)
        rows["lr"] = np.array([lr_at(self.config, int(t)) for t in rows["iteration"]])
        elapsed = time.perf_counter() - started
        rows["seconds"] = self.seconds + elapsed * np.arange(1, length + 1) / length
        self.seconds += elapsed
        return self._judge(rows)

    def _iterate(self) -> dict[str, Tensor]:
        """One optimizer step; the metrics of the state before it, left on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr_at(self.config, self.iteration)
        z = self.input()
        seen: dict[str, Tensor] = {}

        def closure() -> Any:  # torch types it as float, but hands on what it gets
            self.optimizer.zero_grad(set_to_none=True)
            with self.precision.forward():
                output = self.net(z)
            output = output.float()
            data_loss = self._data_loss(output)
            loss = data_loss
            if self.config.tv_weight:
                loss = loss + self.config.tv_weight * tv(output)
            with self.precision.backward():
                loss.backward()
            if not seen:  # LBFGS calls again, elsewhere on its line
                seen.update(output=output.detach(), loss=loss.detach())
                seen.update(data_loss=data_loss.detach(), **self._norms())
            return loss

        with self.precision.iteration():
            self.optimizer.step(closure)
            output = seen.pop("output")
            self.keeper.follow(output)
            return seen | self._measure(output)

    def _data_loss(self, output: Tensor) -> Tensor:
        error = (self.problem.operator(output) - self.problem.y).square()
        return error.mean() if self._weight is None else (self._weight * error).sum()

    @torch.no_grad()
    def _norms(self) -> dict[str, Tensor]:
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return {
            "grad_norm": get_total_norm(gradients),
            "weight_norm": get_total_norm(self.parameters),
        }

    @torch.no_grad()
    def _measure(self, output: Tensor) -> dict[str, Tensor]:
        at_an_end = self.iteration in (1, self.config.iterations)
        costly = at_an_end or self.iteration % self.config.metrics_every == 0
        average = self.keeper.ema
        row = self.panel.measure(output, average, costly=costly)
        for column in self.keeper.best:
            image = average if column.endswith("_ema") else output
            self.keeper.offer(column, image, row[column])
        return row

    def _judge(self, rows: dict[str, NDArray[np.float64]]) -> Block:
        """Cut the block at a non-finite loss, ask the rule, and see whether this was the end."""
        broken = np.flatnonzero(~np.isfinite(rows["loss"]))
        if broken.size:
            end = int(broken[0]) + 1
            self.iteration -= len(rows["loss"]) - end
            self.outcome = Outcome.DIVERGED
            return Block({name: values[:end] for name, values in rows.items()}, self.outcome)
        wants_stop = asks_to_stop(self.rule, rows)
        if wants_stop and self.iteration % CHECK_EVERY == 0:
            self.outcome = Outcome.STOPPED
        elif self.iteration == self.config.iterations:
            self.outcome = Outcome.BUDGET
        is_kept = self.iteration in self._snapshots
        return Block(rows, self.outcome, self.keeper.final.clone() if is_kept else None)


def fit(problem: Problem, config: FitConfig | None = None) -> FitResult:
    """Fit one network to one problem and return images, trace and outcome.

    The same problem and configuration on the same CPU give the same result, bit for bit, but for
    the trace's seconds. Raises ConfigError if the configuration does not suit the problem.
    """
    run = Fit(problem, config or FitConfig())
    parts, summary, snapshots = [], Summary(), {}
    for block in run.blocks():
        parts.append(block.rows)
        summary.update(block.rows)
        if block.snapshot is not None:
            snapshots[run.iteration] = block.snapshot.cpu()
    assert run.outcome is not None
    return FitResult(
        run.keeper.images(), concatenate(parts), run.outcome, summary.outcome_row(), snapshots
    )
