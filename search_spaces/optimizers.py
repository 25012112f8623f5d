"""Each optimizer over learning rates that make sense for it."""

from ray import tune

from search_spaces.named import NamedSpace

SPACE = NamedSpace(
    question="how do the optimizer and its learning rate bias what is restored?",
    grid={
        "optimizer": [
            {"optimizer": "sgd", "lr": [0.1, 1.0, 10.0]},
            {"optimizer": "sgd", "momentum": 0.9, "nesterov": [False, True], "lr": [0.1, 1.0]},
            {"optimizer": ["adam", "adamw"], "lr": [0.001, 0.003, 0.01]},
            {"optimizer": "rmsprop", "lr": [0.0003, 0.001, 0.003]},
            {"optimizer": "lbfgs", "line_search": "strong_wolfe", "lr": 1.0, "input_jitter": 0.0},
        ]
    },
    ranges={
        "optimizer": [
            {"optimizer": "sgd", "lr": tune.loguniform(0.03, 30.0)},
            {
                "optimizer": "sgd",
                "momentum": tune.uniform(0.5, 0.95),
                "nesterov": [False, True],
                "lr": tune.loguniform(0.01, 3.0),
            },
            {"optimizer": ["adam", "adamw"], "lr": tune.loguniform(3e-4, 3e-2)},
            {"optimizer": "rmsprop", "lr": tune.loguniform(1e-4, 1e-2)},
        ]
    },
)
