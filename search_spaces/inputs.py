"""What the network is given: kind, channels and frequencies of its input, and its jitter."""

from ray import tune

from search_spaces.named import NamedSpace

# the noise input has a standard deviation of 0.03: a jitter of 0.03, near the paper's 1/30, is as
# strong as the input itself and 0.1 drowns it; next to coordinates in [0, 1] and Fourier features
# in [-1, 1] both are small
_JITTER = [0.0, 0.03, 0.1]

SPACE = NamedSpace(
    question="how do the input and its jitter shape what is restored first?",
    grid={
        "input_kind": [
            # the paper has 32, and 1 to 3 where a prior should be strong
            {"input_kind": "noise", "input_channels": [2, 8, 32, 128]},
            {"input_kind": "meshgrid"},
            # cycles a side: 1 is smoother than the coordinates need, 30 is near the finest that a
            # picture of 128 pixels can hold (64)
            {
                "input_kind": "fourier",
                "input_channels": [32, 128],
                "fourier_scale": [1.0, 3.0, 10.0, 30.0],
            },
        ],
        "input_jitter": _JITTER,
    },
    ranges={
        "input_kind": [
            {"input_kind": "noise", "input_channels": [2, 8, 32, 128]},
            {"input_kind": "meshgrid"},
            {
                "input_kind": "fourier",
                "input_channels": [32, 128],
                "fourier_scale": tune.loguniform(1.0, 30.0),
            },
        ],
        "input_jitter": tune.uniform(0.0, 0.1),
    },
)
