"""Pictures as scikit-image has them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]


def to_array(picture: Tensor) -> Array:
    """(1, C, H, W) -> (H, W, C)."""
    return picture[0].permute(1, 2, 0).numpy()


def to_tensor(array: NDArray[np.floating]) -> Tensor:
    """(H, W, C) -> (1, C, H, W), float32."""
    return torch.from_numpy(np.ascontiguousarray(array)).float().permute(2, 0, 1)[None]
