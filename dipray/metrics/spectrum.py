"""Where in the spectrum a picture's energy lies. (1, C, H, W) in, 0-dim out; no truth needed."""

import torch
from torch import Tensor


def hf_energy(picture: Tensor, *, cutoff: float = 0.25) -> Tensor:
    """Share in [0, 1] of spectral power above `cutoff` cycles/pixel; 1/4 is half of Nyquist.

    The mean of each channel is removed and no window is used; a constant picture has 0.
    """
    height, width = picture.shape[-2:]
    centred = picture - picture.mean(dim=(-2, -1), keepdim=True)
    power = torch.fft.rfft2(centred).abs().square()
    down = torch.fft.fftfreq(height, device=picture.device)
    across = torch.fft.rfftfreq(width, device=picture.device)
    radius = torch.hypot(down[:, None], across[None, :])
    # rfft2 keeps half of the plane: every column but the first (and Nyquist's) stands for two
    copies = torch.full_like(across, 2.0)
    copies[0] = 1.0
    if width % 2 == 0:
        copies[-1] = 1.0
    power = power * copies
    total = power.sum()
    ring = cutoff * (1 + 1e-6)  # frequencies on the ring itself round to either side of it
    high = (power * (radius > ring)).sum()
    return high / total.clamp_min(torch.finfo(total.dtype).tiny)
