"""The loop that everybody writes first: the baseline of the benchmark.

The same network, loss, optimizer, jitter and number of iterations as dipray's defaults; float32,
eager, torch's own layers, PSNR in NumPy with a copy to the host at each iteration.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TextbookSkip(nn.Module):
    """The skip network of Ulyanov et al. (CVPR 2018), of torch's layers alone."""

    def __init__(self, *, depth: int, features: int, inputs: int = 32, across: int = 4) -> None:
        super().__init__()
        widths = [inputs] + [features] * (depth - 1)
        self.skips = nn.ModuleList(_block(width, across, 1) for width in widths)
        self.downs = nn.ModuleList(
            nn.Sequential(_block(width, features, 3, stride=2), _block(features, features, 3))
            for width in widths
        )
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(features + across),
                _block(features + across, features, 3),
                _block(features, features, 1),
            )
            for _ in widths
        )
        self.head = nn.Sequential(nn.Conv2d(features, 3, 1), nn.Sigmoid())

    def forward(self, z: Tensor) -> Tensor:
        """(1, inputs, H, W) -> (1, 3, H, W)."""
        x, carried = z, []
        for skip, down in zip(self.skips, self.downs, strict=True):
            carried.append(skip(x))
            x = down(x)
        for up in reversed(self.ups):
            beside = carried.pop()
            x = F.interpolate(x, size=beside.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([beside, x], dim=1))
        picture: Tensor = self.head(x)
        return picture


def _block(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, padding_mode="reflect"),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )


class TextbookFit:
    """Its state, and one iteration. noisy, truth: (1, 3, H, W) in [0, 1]."""

    def __init__(
        self,
        noisy: Tensor,
        truth: Tensor,
        *,
        depth: int,
        features: int,
        device: str = "cpu",
        lr: float = 0.01,
    ) -> None:
        self.net = TextbookSkip(depth=depth, features=features).to(device)
        self.y = noisy.to(device)
        self.z = torch.rand(1, 32, *noisy.shape[-2:], device=device) * 0.1
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=lr)
        self.clean = truth.numpy()
        self.average: Tensor | None = None

    def step(self) -> tuple[float, float]:
        """Loss and PSNR in dB of the output before the step."""
        self.optimizer.zero_grad()
        output = self.net(self.z + torch.randn_like(self.z) / 30)
        loss = F.mse_loss(output, self.y)
        loss.backward()
        self.optimizer.step()
        seen = output.detach()
        self.average = seen if self.average is None else self.average * 0.99 + seen * 0.01
        error = np.mean((np.clip(seen.cpu().numpy(), 0, 1) - self.clean) ** 2)
        return loss.item(), -10 * float(np.log10(error))
