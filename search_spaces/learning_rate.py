"""The learning rate alone, on a fine scale, for the two ways to optimise that are used most."""

from ray import tune

from search_spaces.named import NamedSpace

# steps of about 1.5 (the E6 series) over two decades, so that a peak can be read off to a step.
# Adam: around the paper's 0.01, down to where 3000 iterations are too few. SGD: the loss is a mean
# over all values, hence the large rates; with momentum 0.9 a step adds up to ten times the rate
ADAM = [
    *(0.00033, 0.00047, 0.00068, 0.001, 0.0015, 0.0022),
    *(0.0033, 0.0047, 0.0068, 0.01, 0.015, 0.022, 0.033),
]
SGD = [
    *(0.033, 0.047, 0.068, 0.1, 0.15, 0.22),
    *(0.33, 0.47, 0.68, 1.0, 1.5, 2.2, 3.3),
]

SPACE = NamedSpace(
    question="where is the best learning rate, and how sharp is the optimum?",
    grid={
        "optimizer": [
            {"optimizer": "adam", "lr": ADAM},
            {"optimizer": "sgd", "momentum": 0.9, "lr": SGD},
        ]
    },
    ranges={
        "optimizer": [
            {"optimizer": "adam", "lr": tune.loguniform(ADAM[0], ADAM[-1])},
            {"optimizer": "sgd", "momentum": 0.9, "lr": tune.loguniform(SGD[0], SGD[-1])},
        ]
    },
)
