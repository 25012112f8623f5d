"""What crosses the hourglass, and how the size is halved and doubled."""

from search_spaces.named import NamedSpace

# every combination of them, since what a skip carries and how the rest is enlarged work together
_SAMPLING = {
    # smooths most: bilinear; blocks: nearest; learnt, and apt to leave a checkerboard: transposed
    "upsampling": ["nearest", "bilinear", "transposed"],
    "downsampling": ["stride", "avg", "max"],
}

SPACE = NamedSpace(
    question="do skip connections or the way of resampling decide how smooth a restoration is?",
    grid={
        "net": [
            # the paper's 4 for denoising, 0 for large holes, 128 for text, and a step between
            {"net": "skip", "skip_channels": [0, 4, 16, 128], **_SAMPLING},
            # None is the unet's own: the whole feature map, so detail can pass beside the
            # hourglass, and noise with it
            {"net": "unet", "skip_channels": [0, 4, 16, None], **_SAMPLING},
        ],
    },
)
