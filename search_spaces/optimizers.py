"""Each optimizer over learning rates that make sense for it."""

from ray import tune

from search_spaces.named import NamedSpace

# the loss is a mean over all values, so its gradient is small: SGD wants rates of 0.1 to 30, and
# a tenth of them with momentum 0.9, which adds up to ten steps. Adam and RMSprop divide the
# gradient's size away; the paper has Adam at 0.01. L-BFGS compares gradients of one function from
# step to step, which a jittered input would take from it; it has no rate but the first guess of
# its line search
_LBFGS = {"optimizer": "lbfgs", "line_search": "strong_wolfe", "input_jitter": 0.0}

SPACE = NamedSpace(
    question="how do the optimizer and its learning rate bias what is restored?",
    grid={
        "optimizer": [
            {"optimizer": "sgd", "lr": [0.3, 3.0, 30.0]},
            {
                "optimizer": "sgd",
                "momentum": 0.9,
                "nesterov": [False, True],
                "lr": [0.03, 0.3, 3.0],
            },
            {"optimizer": ["adam", "adamw"], "lr": [0.001, 0.003, 0.01]},
            {"optimizer": "rmsprop", "lr": [0.0003, 0.001, 0.003]},
            {**_LBFGS, "lr": [0.1, 1.0]},
        ]
    },
    ranges={
        "optimizer": [
            {"optimizer": "sgd", "lr": tune.loguniform(0.1, 30.0)},
            {
                "optimizer": "sgd",
                "momentum": tune.uniform(0.5, 0.95),
                "nesterov": [False, True],
                "lr": tune.loguniform(0.01, 3.0),
            },
            {"optimizer": ["adam", "adamw"], "lr": tune.loguniform(3e-4, 3e-2)},
            {"optimizer": "rmsprop", "lr": tune.loguniform(1e-4, 1e-2)},
            {**_LBFGS, "lr": tune.loguniform(0.1, 1.0)},
        ]
    },
)
