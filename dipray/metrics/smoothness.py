"""How smooth a picture is, by its differences. (1, C, H, W) in, 0-dim out; no truth needed."""

from torch import Tensor


def tv(picture: Tensor) -> Tensor:
    """Anisotropic total variation, (1/N) sum |dx| + |dy|, forward differences, N = C*H*W."""
    across = picture.diff(dim=3).abs().sum()
    down = picture.diff(dim=2).abs().sum()
    return (across + down) / picture.numel()


def laplacian(picture: Tensor) -> Tensor:
    """(1/N) sum |five-point Laplacian| over the inner pixels, N = C*H*W of the whole picture."""
    inner = picture[..., 1:-1, 1:-1]
    beside = picture[..., 1:-1, :-2] + picture[..., 1:-1, 2:]
    above = picture[..., :-2, 1:-1] + picture[..., 2:, 1:-1]
    return (beside + above - 4 * inner).abs().sum() / picture.numel()
