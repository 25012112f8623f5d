"""How much memory a fit needs, and what would fit where it does not."""

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dipray.config import MIN_SIZE, FitConfig
from dipray.errors import ConfigError, NoMemoryError
from dipray.inputs import channels_of
from dipray.models import build_network

_MOMENTS = {"sgd": 0, "adam": 2, "adamw": 2, "rmsprop": 1, "lbfgs": 22}  # copies of the weights
_PICTURES = 40  # of the fit's size that are held at a time: bests, averages, metrics' temporaries
_SCRATCH = 1.25  # of what the backward pass keeps: gradients on their way, convolutions' buffers
# of a probe: graphs of the gradient beside the loss's, and vectors of Lanczos' method
_PROBED, _DIRECTIONS = 3.5, 20
_TANGENT = 0.8  # of a linearised network's graphs: what goes through them backwards a second time
_GIB = 2**30


def footprint(config: FitConfig, shape: tuple[int, int, int]) -> int:
    """Bytes that a fit of a picture (C, H, W) needs at its peak, about; without the process itself.

    What the backward pass keeps is counted exactly, on torch's meta device, which computes nothing;
    what is around it is a rule of thumb. Measured on a CPU: 0.73 to 1.14 times this
    (`python -m experiments.footprints`).
    """
    channels, height, width = shape
    inputs = channels_of(config)
    with torch.device("meta"):
        net = build_network(config, inputs=inputs, outputs=channels)
        z = torch.empty(1, inputs, height, width)
    weights = sum(p.numel() for p in net.parameters())
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # or a storage's number would be another's

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(z)
    activations = sum(kept.values()) - 4 * weights
    if config.precision == "bf16":
        activations = int(0.6 * activations)
    picture = 4 * channels * height * width
    fits = 1 if config.sure_sigma is None else 2
    scratch = _SCRATCH + (_TANGENT if config.linearised else 0)
    of_net = fits * (scratch * activations + 4 * weights * (2 + _MOMENTS[config.optimizer]))
    if config.probe_every:
        of_net += _PROBED * activations + 4 * weights * _DIRECTIONS
    around = picture * (_PICTURES + config.variance_window) + 2 * z.numel() * 4
    return int(of_net + around)


@dataclass(frozen=True)
class Advice:
    """Of a fit that ran out of memory: what it needs, what there is, and what would fit, in bytes.

    features: the most channels that fit, 0 if not even one does. side: of the largest square
    picture, in pixels, 0 for none.
    """

    needed: int
    there: int
    features: int
    side: int

    def __str__(self) -> str:
        said = f"needs about {self.needed / _GIB:.1f} GiB, there are {self.there / _GIB:.1f}"
        ways = [f"features={self.features}"] if self.features else []
        if self.side:
            ways.append(
                f"a picture of {self.side}x{self.side} pixels (dipray fit --tile {self.side})"
            )
        return f"{said}; {' or '.join(ways) or 'neither fewer features nor a smaller picture'} fits"


def advice(config: FitConfig, shape: tuple[int, int, int], there: int) -> Advice:
    """What of this fit would fit into so many bytes."""
    channels, height, width = shape

    def fits(features: int, size: tuple[int, int]) -> bool:
        smaller = config.replace(features=features)
        try:
            smaller.check_size(*size)
        except ConfigError:
            return False
        return footprint(smaller, (channels, *size)) <= there

    features = config.features // 2
    while features and not fits(features, (height, width)):
        features //= 2
    side = 2 ** int(math.log2(max(min(height, width) - 1, 1)))
    while side >= MIN_SIZE and not fits(config.features, (side, side)):
        side //= 2
    return Advice(footprint(config, shape), there, features, side if side >= MIN_SIZE else 0)


def explained(
    error: Exception, config: FitConfig, shape: tuple[int, int, int], device: torch.device
) -> Exception:
    """The error, or if memory ran out one that says in a line what would fit; nothing is halved."""
    if not is_out_of_memory(error):
        return error
    if device.type == "cuda":
        torch.cuda.empty_cache()
    _, height, width = shape
    return NoMemoryError(
        f"out of memory: net {config.net}, depth {config.depth}, {config.features} features at "
        f"{height}x{width} pixels {advice(config, shape, memory_there(device))}"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of a GPU or of the machine."""
    said = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and ("can't allocate memory" in said or "not enough memory" in said)
    )


def memory_there(device: torch.device) -> int:
    """Bytes that a fit could have now: of the GPU, or of the machine or its container."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        share = torch.cuda.get_per_process_memory_fraction(device)
        return min(free + torch.cuda.memory_reserved(device), int(share * total))
    there, group = _of_machine(), Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        there = min(there, limit - used)
    return max(0, there)


def _of_machine() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 2**63 - 1  # not Linux: nobody says
