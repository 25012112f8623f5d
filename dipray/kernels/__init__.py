"""What torch has no operation for, in C, compiled on the machine that it runs on."""

from dipray.kernels.doubled import add_doubled, split_doubled
from dipray.kernels.library import SWITCH, kernels
from dipray.kernels.normed import norm_leaky

__all__ = ["SWITCH", "add_doubled", "kernels", "norm_leaky", "split_doubled"]
