"""What `dipray restore` tries: few networks, far apart, each good at something."""

from ray import tune

from search_spaces.named import NamedSpace

_ADAM = {"optimizer": "adam", "lr": 0.01}

SPACE = NamedSpace(
    question="which of a handful of networks suits this picture, whatever is wrong with it?",
    grid={
        "net": [
            # much comes across the skips: textures and edges come early, and so does the noise
            {"net": "skip", "features": 32, "skip_channels": 16},
            {"net": "skip", "features": 32},
            # smooth: all passes through the bottom, which lies less deep then
            {"net": "encdec", "features": 32, "depth": 3, "lr": 0.005},
            {"net": "unet", "features": 16, "skip_channels": 4, "lr": 0.003},
        ],
    },
    ranges={
        "net": [
            {"net": "skip", "features": [32, 64], "skip_channels": [4, 16]},
            {"net": "encdec", "features": [32, 64]},
            {"net": ["unet", "resunet"], "features": 16, "skip_channels": [4, 16]},
        ],
        "lr": tune.loguniform(0.002, 0.02),
        "input_jitter": [0.02, 1 / 30, 0.05],
        "downsampling": ["stride", "avg"],
    },
)
