"""One program of a whole network, by torch.compile."""

import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dipray.errors import ConfigError


def compiled(net: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network's function, compiled at its first call; the module itself stays as it is.

    Raises ConfigError where torch could not compile it: on the CPU it needs a C++ compiler.
    """
    on_cpu = next(net.parameters()).device.type == "cpu"
    if on_cpu and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise ConfigError(
            "compile='on': there is no C++ compiler on this machine; install one, or write off",
            field="compile",
        )
    function: Any = torch.compile(net)
    return function
