"""Architecture, depth and width at one optimizer."""

from search_spaces.named import NamedSpace

SPACE = NamedSpace(
    question="what do architecture, depth and width change in what is restored?",
    grid={
        "net": ["skip", "unet", "encdec", "resunet", "convnext"],
        # the paper halves the size 5 times; a shallower network sees less of the picture at once.
        # A depth of 5 needs 33 pixels a side, or 97 for convnext
        "depth": [3, 4, 5],
        # the paper has 128. The same number is more weights in a unet, whose width doubles at each
        # level up to four times, than in skip and encdec, whose width is constant
        "features": [32, 64, 128],
    },
)
