"""The loop: one network fitted to one problem, block by block."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dipray.allocator import keep_freed_memory
from dipray.automatic import decided
from dipray.capture import Capture, graphs_on
from dipray.config import FitConfig
from dipray.descent import Descent
from dipray.device import resolve_device
from dipray.held_out import known_pixels
from dipray.inputs import JitteredInput
from dipray.judges import Judges
from dipray.keeper import Keeper
from dipray.kept import kept_by, pick_picture
from dipray.metrics import Panel
from dipray.optim import NOT_IN_PLACE, lr_at
from dipray.problem import Problem
from dipray.stability import Probe
from dipray.stepping import Replayed, Stepper, Variant, Written
from dipray.stopping import (
    CHECK_EVERY,
    RuleName,
    load_memory,
    make_oracle,
    make_rules,
    memory,
)
from dipray.trace import COLUMN_NAMES, Rows, Summary, concatenate
from dipray.watch import Pick, Watch


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

    images: final, ema; peak and peak_ema with a reference, peak_val and peak_val_ema with
        held-out measurements: output and average at their best; pick_RULE for the average that a
        rule picks, which is ema where that is the last one.
    trace: column -> float64 array, one value an iteration, NaN where it was not computed.
    summary: peaks, last values and length as plain numbers, None where the problem lacks them.
    snapshots: iteration -> its output, like an image.
    picks: rule -> the iteration that it picks.
    """

    images: dict[str, Tensor]
    trace: dict[str, NDArray[np.float64]]
    outcome: Outcome
    summary: dict[str, float | int | None]
    snapshots: dict[int, Tensor]
    picks: dict[RuleName, Pick]


class Fit:
    """A fit under way. `blocks` advances it; everything that changes is an attribute.

    graphs: how iterations are recorded to be replayed, where that can be; on CUDA by default.
    Raises ConfigError, before any work, if the configuration does not suit the problem or machine.
    """

    def __init__(
        self,
        problem: Problem,
        config: FitConfig,
        *,
        graphs: Callable[[torch.device, torch.Generator], Capture | None] = graphs_on,
    ) -> None:
        channels, height, width = problem.picture_shape
        config.check_size(height, width, picture=problem.source)
        has_reference = problem.reference is not None
        config = config.settled(has_reference=has_reference, known=known_pixels(problem))
        self.config = config
        self.device = resolve_device(config)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.oracle = make_oracle(config, has_reference=has_reference)
        self.watches = {name: Watch(rule) for name, rule in make_rules(config).items()}
        self.problem = problem.to(self.device)
        self.input = JitteredInput(config, height, width, self.device)
        self.judges = Judges(self.problem, config)
        capture = None
        if config.optimizer not in NOT_IN_PLACE:
            capture = graphs(self.device, self.input.generator)
        in_place = capture is not None
        self.descent = self._descent(self.problem.y, in_place=in_place)
        risk = self.judges.risk
        self.twin = None if risk is None else self._descent(risk.y, in_place=in_place)
        self.probe = Probe(self.descent, config) if config.probe_every else None
        self.panel = Panel(
            self.problem.reference,
            hole=self.problem.hole,
            luma=problem.luma,
            trim=problem.trim,
            measured=self.problem.seen if config.probe_every else None,
        )
        self._kept = kept_by(config, has_reference=has_reference)
        self.keeper = Keeper(
            torch.zeros(1, channels, height, width, device=self.device),
            ema_decay=config.ema_decay,
            signs={name: kept.sign for name, kept in self._kept.items()},
        )
        self._unknown = torch.tensor(torch.nan, device=self.device)
        self._stepper = self._make_stepper(capture)
        self.iteration = 0
        self.seconds = 0.0
        self.outcome: Outcome | None = None
        self._snapshots = config.snapshot_iterations()
        self.is_torn = False  # within a block, where weights and counts disagree
        self._is_paused = False

    def _descent(self, y: Tensor, *, in_place: bool) -> Descent:
        channels = (self.input.clean.shape[1], self.problem.picture_shape[0])
        share = self.judges.fitted_share
        return Descent(
            y,
            self.problem.operator,
            share,
            config=decided(self.config, self.device),
            channels=channels,
            in_place=in_place,
        )

    def _make_stepper(self, capture: Capture | None) -> Stepper:
        columns = len(COLUMN_NAMES)
        if capture is None:
            return Written(self.device, columns)
        final, ema = self.keeper.final, self.keeper.ema
        rehearsal = partial(self.panel.measure, final, ema, costly=True)
        return Replayed(capture, self.device, columns, most=CHECK_EVERY, rehearsal=rehearsal)

    def blocks(self, size: int = 100) -> Iterator[Block]:
        """Run to the end, yielding at most `size` iterations at a time.

        They end at multiples of `size`, at snapshots, and where the rules are asked; where they end
        changes nothing of what is computed.
        """
        while self.outcome is None:
            done = self.iteration
            ends = [self.config.iterations, done + size - done % size]
            ends += [at for at in self._snapshots if at > done][:1]
            ends.append(done + CHECK_EVERY - done % CHECK_EVERY)
            if self.probe is not None:  # it looks at the beginning of a block
                ends.append(self.probe.next_due(done + 1) - 1)
            yield self._block(min(ends) - done)

    def pause(self) -> None:
        """End the block under way after its present iteration; for signal handlers and threads."""
        self._is_paused = True

    def _block(self, most: int) -> Block:
        started = time.perf_counter()
        self.is_torn = True
        first = self.iteration + 1
        lrs = [lr_at(self.config, iteration) for iteration in range(first, first + most)]
        probed = self._probe(first, lrs[0])
        buffer = self._stepper.make(self._iterate, lrs, self._variants(most))
        self._is_paused = False
        length = self.iteration - first + 1
        table = buffer[:length].cpu().double().numpy()  # the block's only wait for the device
        rows = dict(zip(COLUMN_NAMES, table.T, strict=True))
        rows["iteration"] = np.arange(first, self.iteration + 1, dtype=np.float64)
        rows["lr"] = np.array(lrs[:length])
        for name, value in probed.items():
            rows[name][0] = value
        elapsed = time.perf_counter() - started
        rows["seconds"] = self.seconds + elapsed * np.arange(1, length + 1) / length
        self.seconds += elapsed
        block = self._judge(rows)
        self.is_torn = False
        return block

    def _probe(self, iteration: int, lr: float) -> dict[str, float]:
        """What the minimum is like before an iteration's step, by column, where that is due."""
        if self.probe is None or self.probe.next_due(iteration - 1) != iteration:
            return {}
        with self.descent.precision.iteration():
            return self.probe.measure(self.input.clean, lr, iteration)

    def _variants(self, most: int) -> Iterator[Variant]:
        """What is to be done at each of the next iterations, which this counts."""
        for _ in range(most):
            self.iteration += 1
            at_an_end = self.iteration in (1, self.config.iterations)
            costly = at_an_end or self.iteration % self.config.metrics_every == 0
            yield Variant(costly, self.judges.is_round(self.iteration), self.keeper.frozen)
            if self._is_paused:
                break

    def _iterate(self, lr: float | Tensor, variant: Variant) -> list[Tensor]:
        """One optimizer step; the metrics of the state before it, left on the device.

        Where it is recorded it runs once for many iterations: all that differs among them is in
        tensors, or in the variant.
        """
        z = self.input()
        state = self.descent.step(z, lr)
        disturbed = None if self.twin is None else self.twin.step(z, lr)
        with torch.no_grad():
            self.keeper.follow(state.output)
            average = self.keeper.ema
            row = state.numbers
            row |= self.panel.measure(state.output, average, costly=variant.costly)
            row |= self.judges.measure(state, average, disturbed, exact=variant.exact)
            for name, kept in self._kept.items():
                self.keeper.offer(
                    name, average if kept.is_average else state.output, row[kept.column]
                )
        return [row.get(name, self._unknown) for name in COLUMN_NAMES]

    def _judge(self, rows: dict[str, NDArray[np.float64]]) -> Block:
        """Cut the block at a non-finite loss, ask the rules, and see whether this was the end."""
        broken = np.flatnonzero(~np.isfinite(rows["loss"]))
        if broken.size:
            end = int(broken[0]) + 1
            self.iteration -= len(rows["loss"]) - end
            self.outcome = Outcome.DIVERGED
            self._ask({name: values[: end - 1] for name, values in rows.items()}, due=False)
            rows = {name: values[:end] for name, values in rows.items()}
        else:
            at_end = self.iteration == self.config.iterations
            self._ask(rows, due=self.iteration % CHECK_EVERY == 0 or at_end)
        if self.outcome is None and self.iteration == self.config.iterations:
            self.outcome = Outcome.BUDGET
        is_kept = self.iteration in self._snapshots and not broken.size
        return Block(rows, self.outcome, self.keeper.final.clone() if is_kept else None)

    def _ask(self, rows: Rows, *, due: bool) -> None:
        """Show the rules what is new, keep the picture where one fires, and end the fit if asked.

        They decide at fixed iterations only, so that blocks of any size give the same.
        """
        if not len(rows["iteration"]):
            return  # it went non-finite right at the start of a block
        at_end = self.iteration == self.config.iterations
        for name, watch in self.watches.items():
            if watch.update(rows, due=due):
                if at_end:
                    continue  # what it picks now is the last average
                picks_now = watch.pick.iteration == self.iteration
                self.keeper.freeze(pick_picture(name), self.keeper.ema if picks_now else None)
                if name == self.config.stop:
                    self.outcome = Outcome.STOPPED
        if self.oracle is not None and self.oracle.fires_knowing(rows) and due and not at_end:
            self.outcome = Outcome.STOPPED

    def state(self) -> dict[str, Any]:
        """Everything that changes as the fit goes on: tensors and plain data, not copied.

        A new Fit of the same problem and configuration that is given it goes on as this one would,
        on the same CPU bit for bit. Raises RuntimeError within a block, which is no place to be.
        """
        if self.is_torn:
            raise RuntimeError("a fit has a state between blocks only")
        return {
            "iteration": self.iteration,
            "seconds": self.seconds,
            "descent": self.descent.state(),
            "twin": None if self.twin is None else self.twin.state(),
            "probe": None if self.probe is None else self.probe.state(),
            "input": self.input.state(),
            "judges": self.judges.state(),
            "keeper": self.keeper.state(),
            "watches": {name: watch.state() for name, watch in self.watches.items()},
            "oracle": None if self.oracle is None else memory(self.oracle),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; of another fit it raises, and this one is then no good."""
        self.is_torn = True
        self._stepper.forget()
        self.descent.load_state(state["descent"])
        if self.twin is not None:
            self.twin.load_state(state["twin"])
        if self.probe is not None:
            self.probe.load_state(state["probe"])
        self.input.load_state(state["input"])
        self.judges.load_state(state["judges"])
        self.keeper.load_state(state["keeper"])
        for name, watch in self.watches.items():
            watch.load_state(state["watches"][name])
        if self.oracle is not None:
            load_memory(self.oracle, state["oracle"])
        self.iteration, self.seconds = state["iteration"], state["seconds"]
        self.is_torn = False

    @property
    def fallback(self) -> str:
        """Why iterations that were to be replayed are not; "" if they are, or were not to be."""
        return self._stepper.fallback

    @property
    def picks(self) -> dict[RuleName, Pick]:
        """What each rule picks, by now."""
        return {name: watch.pick for name, watch in self.watches.items()}


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
        run.keeper.images(),
        concatenate(parts),
        run.outcome,
        summary.outcome_row(),
        snapshots,
        run.picks,
    )
