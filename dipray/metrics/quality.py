"""How near a picture is to the truth. Pictures are (1, C, H, W) in [0, 1]; results are 0-dim."""

import torch
from torch import Tensor
from torch.nn import functional as F


def decibels(mse: Tensor) -> Tensor:
    """-10 log10 of a mean squared error, 0-dim, for data of range 1; at most 150.

    That is more than float32 resolves, so that a perfect picture still has a number.
    """
    return -10 * torch.log10(mse.clamp_min(1e-15))


def psnr(picture: Tensor, truth: Tensor, *, where: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB, of the clipped picture, over all values, data range 1.

    where: bool, of the picture's shape; only the values that it marks count.
    """
    error = (picture.clamp(0, 1) - truth).square()
    mean = error.mean() if where is None else (error * where).sum() / where.sum()
    return decibels(mean)


def luma(picture: Tensor) -> Tensor:
    """BT.601 studio-range luma (1, 1, H, W) on the scale [16, 235] / 255 of RGB; gray is itself."""
    if picture.shape[1] == 1:
        return picture
    red, green, blue = picture.split(1, dim=1)
    return (65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255


def psnr_y(picture: Tensor, truth: Tensor, *, trim: int = 0) -> Tensor:
    """PSNR in dB on luma, `trim` pixels cut from each side, as super-resolution reports it."""
    inner = slice(trim, -trim or None)
    pair = [luma(image.clamp(0, 1))[..., inner, inner] for image in (picture, truth)]
    return psnr(pair[0], pair[1])


def _gaussian(size: int, sigma: float, like: Tensor) -> Tensor:
    offset = torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2
    line = torch.exp(-0.5 * (offset / sigma).square())
    return line / line.sum()


def ssim(picture: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity (Wang et al., IEEE TIP 2004), mean over channels, in [-1, 1].

    Gaussian window 11x11 of sigma 1.5, data range 1, K = (0.01, 0.03), windows that lie wholly
    inside the picture only.
    """
    line = _gaussian(11, 1.5, picture)
    channels = picture.shape[1]
    x, y = picture.clamp(0, 1), truth
    stack = torch.cat([x, y, x * x, y * y, x * y]).flatten(0, 1)[:, None]
    blurred = F.conv2d(F.conv2d(stack, line.view(1, 1, 11, 1)), line.view(1, 1, 1, 11))
    mean_x, mean_y, xx, yy, xy = blurred.split(channels)
    c1, c2 = 0.01**2, 0.03**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * (xy - mean_x * mean_y) + c2)
    spread = xx - mean_x.square() + yy - mean_y.square() + c2
    return (numerator / ((mean_x.square() + mean_y.square() + c1) * spread)).mean()
