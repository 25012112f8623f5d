"""Metrics: pure functions on tensors, and the panel that a fit records."""

from dipray.metrics.panel import Panel
from dipray.metrics.quality import luma, psnr, psnr_y, ssim
from dipray.metrics.smoothness import laplacian, tv
from dipray.metrics.spectrum import hf_energy

__all__ = ["Panel", "hf_energy", "laplacian", "luma", "psnr", "psnr_y", "ssim", "tv"]
