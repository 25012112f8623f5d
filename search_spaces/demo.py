"""Three networks against four ways to optimise, small enough for two CPU cores."""

from search_spaces.named import NamedSpace

SPACE = NamedSpace(
    question="which small network and which optimizer restore a 128x128 photograph best?",
    grid={
        "net": [
            {"net": "skip", "features": 32},
            {"net": "unet", "features": 16, "skip_channels": 4},
            {"net": "encdec", "features": 32},
        ],
        "optimizer": [
            {"optimizer": "adam", "lr": [0.003, 0.01]},
            {"optimizer": "rmsprop", "lr": 0.003},
            {"optimizer": "sgd", "momentum": 0.9, "lr": 1.0},
        ],
    },
)
