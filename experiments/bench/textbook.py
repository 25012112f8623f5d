"""The loop that everybody writes first: the baseline of the benchmark.

The same network, loss, optimizer, jitter and number of iterations as dipray's defaults; float32,
eager, torch's own layers, PSNR in NumPy with a copy to the host at each iteration.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TextbookSkip(nn.Module):
    """The skip network of Ulyanov et al. (CVPR 2018), of torch's layers alone."""

    def __init__(self, *, depth: int, features: int, inputs: int = 32, across: int = 4) -> None:
        super().__init__()
        levels = range(depth)
        self.skips = nn.ModuleList(_block(features if i else inputs, across, 1) for i in levels)
        self.downs = nn.ModuleList(
            nn.Sequential(
                _block(features if i else inputs, features, 3, stride=2),
                _block(features, features, 3),
            )
            for i in levels
        )
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(features + across),
                _block(features + across, features, 3),
                _block(features, features, 1),
            )
            for _ in levels
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


def textbook_fit(
    noisy: Tensor,
    truth: Tensor,
    *,
    depth: int,
    features: int,
    iterations: int,
    device: str = "cpu",
    lr: float = 0.01,
    report: Callable[[int, float, float], None] | None = None,
) -> Tensor:
    """Fit (1, 3, H, W) and return the last output; `report` gets iteration, loss, PSNR in dB."""
    net = TextbookSkip(depth=depth, features=features).to(device)
    y, z = noisy.to(device), torch.rand(1, 32, *noisy.shape[-2:], device=device) * 0.1
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    clean, average = truth.cpu().numpy(), None
    for iteration in range(1, iterations + 1):
        optimizer.zero_grad()
        output = net(z + torch.randn_like(z) / 30)
        loss = F.mse_loss(output, y)
        loss.backward()
        optimizer.step()
        seen = output.detach()
        average = seen if average is None else average * 0.99 + seen * 0.01
        error = float(np.mean((np.clip(output.detach().cpu().numpy(), 0, 1) - clean) ** 2))
        if report is not None:
            report(iteration, loss.item(), -10 * float(np.log10(error)))
    return output.detach()
