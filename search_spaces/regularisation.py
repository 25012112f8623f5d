"""What holds a fit back beside the network: total variation, weight decay, and averaging."""

from ray import tune

from search_spaces.named import NamedSpace

# windows of about 10, 100 and 500 outputs. 0 is left out: `psnr` beside `psnr_ema` is a fit
# without averaging already
_EMA = [0.9, 0.99, 0.998]

SPACE = NamedSpace(
    question="do total variation, weight decay or averaging keep the noise out of a fit?",
    grid={
        # at noise of sigma 25 the squared error levels off near 0.01, and photographs have a mean
        # total variation of 0.05 to 0.1, so 0.01 weighs in with a tenth of the loss at most
        "tv_weight": [0.0, 0.001, 0.003, 0.01],
        # decoupled, since an L2 term in Adam's gradient is divided away by its own scaling. At a
        # rate of 0.01 weights shrink by exp(-0.01 decay) a step: 0.01 by a quarter in 3000 steps,
        # 1.0 within a hundred
        "optimizer": [{"optimizer": "adamw", "weight_decay": [0.0, 0.01, 0.1, 1.0]}],
        "ema_decay": _EMA,
    },
    ranges={
        # 0 is no end of a logarithmic range, so a choice stands before it
        "tv_weight": [{"tv_weight": 0.0}, {"tv_weight": tune.loguniform(3e-4, 0.03)}],
        "optimizer": [
            {"optimizer": "adamw", "weight_decay": 0.0},
            {"optimizer": "adamw", "weight_decay": tune.loguniform(3e-3, 3.0)},
        ],
        "ema_decay": _EMA,
    },
)
