"""Architecture, depth and width at one optimizer."""

from search_spaces.named import NamedSpace

SPACE = NamedSpace(
    question="what do architecture, depth and width change in what is restored?",
    grid={
        "net": ["skip", "unet", "encdec", "resunet", "convnext"],
        "depth": [3, 4, 5],
        "features": [32, 64, 128],
    },
)
