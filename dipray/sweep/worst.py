"""What a fit reports that has no number: finite, since Tune's schedulers let NaN live."""

WORST_LOSS = 1e30
WORST_PSNR = 0.0  # dB
