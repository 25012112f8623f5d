"""FitConfig: every knob of one fit, flat, frozen and validated where it is made."""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.functional_validators import BeforeValidator

from dipray.errors import ConfigError, SizeError
from dipray.strict_model import StrictModel

Kernel = Literal["lanczos2", "lanczos3", "bicubic", "bilinear", "box"]

HOLDOUT = 0.03  # the default share of the pixels that are held out,
HELD_PIXELS = 1000  # or so many, since fewer say too little of noisy pictures,
MOST_HELD = 0.1  # but not more than this share
MIN_SIZE = 16  # pixels; the smallest side of a picture that a fit takes
MAX_PIXELS = 100_000_000  # of a picture that is read; a larger one may be a decompression bomb


def _tuple_from_list(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class FitConfig(StrictModel):
    """Every knob of one fit.

    The defaults are the denoising settings of Ulyanov et al. (CVPR 2018). A field that the chosen
    network, input or optimizer would ignore must stay at its default, so that no setting is silent.
    """

    net: Literal["skip", "unet", "encdec", "resunet", "convnext"] = Field(
        "skip", description="network; 'skip' is the one of the DIP paper"
    )
    depth: int = Field(5, ge=1, le=10, description="number of times the size is halved")
    features: int = Field(128, ge=1, le=2048, description="channels at full resolution")
    skip_channels: int | None = Field(
        None,
        ge=0,
        le=2048,
        description="channels carried across by each skip connection; 0 means no skips; None is "
        "the network's own: 4 for skip, the whole feature map for unet, resunet and convnext",
    )
    norm: Literal["batch", "instance", "group", "none"] = Field(
        "batch", description="normalisation layer, always with the statistics of the moment"
    )
    activation: Literal["leaky_relu", "relu", "elu", "silu", "gelu", "softplus", "tanh"] = Field(
        "leaky_relu", description="nonlinearity; leaky_relu has slope 0.2"
    )
    upsampling: Literal["nearest", "bilinear", "transposed"] = Field(
        "bilinear", description="how the decoder doubles the size"
    )
    downsampling: Literal["stride", "avg", "max"] = Field(
        "stride", description="how the encoder halves the size"
    )
    padding: Literal["reflect", "zeros", "replicate", "circular"] = Field(
        "reflect", description="padding of the convolutions"
    )

    init: Literal["torch", "kaiming"] = Field(
        "torch",
        description="initial weights: torch's own, which shrink the maps from layer to layer, or "
        "those of He et al. (ICCV 2015), with which networks without norms train too",
    )
    linearised: bool = Field(
        False,
        description="train the network's first-order expansion at its initial weights instead, the "
        "lazy regime: a null hypothesis for studies, in fp32 and not compiled",
    )

    input_kind: Literal["noise", "gaussian", "meshgrid", "fourier"] = Field(
        "noise",
        description="network input: uniform noise in [0, 0.1), standard normal noise, pixel "
        "coordinates in [0, 1], or random Fourier features of the coordinates",
    )
    input_channels: int | None = Field(
        None, ge=1, le=1024, description="channels of the input; None: 32, or 2 for meshgrid"
    )
    fourier_scale: float = Field(
        10.0, gt=0, le=1e4, description="standard deviation of the Fourier frequencies, cycles/side"
    )
    input_jitter: float = Field(
        1 / 30, ge=0, le=10, description="standard deviation of the noise added at each iteration"
    )

    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "lbfgs"] = Field(
        "adam", description="sgd takes momentum and nesterov"
    )
    lr: float = Field(0.01, gt=0, le=1e6, description="learning rate")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum of sgd and rmsprop")
    nesterov: bool = Field(False, description="Nesterov's form of sgd's momentum")
    betas: Annotated[tuple[float, float], BeforeValidator(_tuple_from_list)] = Field(
        (0.9, 0.999), description="decay rates of adam and adamw"
    )
    weight_decay: float | None = Field(
        None,
        ge=0,
        le=1e3,
        description="decoupled for adamw, L2 else; None: 0.01 for adamw, 0 else",
    )
    line_search: Literal["none", "strong_wolfe"] = Field("none", description="of lbfgs")
    lr_schedule: Literal["constant", "cosine", "linear", "step", "jump"] = Field(
        "constant",
        description="cosine and linear end at 0; step divides by 10 at 1/2 and 3/4; jump "
        "multiplies once, by lr_jump_by after iteration lr_jump_at",
    )
    lr_jump_at: int | None = Field(
        None, ge=1, description="the last iteration before lr_schedule jump changes the rate"
    )
    lr_jump_by: float | None = Field(
        None, gt=0, le=1e6, description="what lr_schedule jump multiplies the rate by"
    )
    iterations: int = Field(3000, ge=1, le=10_000_000, description="optimizer steps at most")

    ema_decay: float = Field(
        0.99, ge=0, lt=1, description="decay of the moving average over outputs; 0 turns it off"
    )
    tv_weight: float = Field(
        0.0, ge=0, le=1e3, description="weight of mean |dx|+|dy| of the output in the loss"
    )
    holdout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="share of the measured pixels that stays out of the loss, to judge the fit by; "
        "None: 0 where the truth is known and nothing judges by it; else 0.03, or where that is "
        "less than 1,000 pixels as many, up to a tenth",
    )
    holdout_seed: int = Field(
        0, ge=0, lt=2**63, description="which pixels; the same for all fits that are compared"
    )
    sure_sigma: float | None = Field(
        None,
        gt=0,
        le=255,
        description="the known noise level, on the scale 0 to 255: turns on Stein's unbiased risk "
        "estimate, which takes a second fit beside the first",
    )
    variance_window: int = Field(
        100,
        ge=0,
        le=10_000,
        description="outputs whose variance is watched for early stopping, kept in memory; 0: none",
    )
    stop: Literal["none", "val", "sure", "wmv", "emv", "loss", "psnr"] = Field(
        "none",
        description="rule that ends the fit: past the best held-out error, risk estimate, windowed "
        "or exponential variance of the outputs; at a plateau of the loss; past the best PSNR "
        "(needs the truth). Whatever it is, all rules watch, and what they pick is kept",
    )
    patience: int = Field(
        500, ge=1, description="iterations without improvement after which a rule fires"
    )
    metrics_every: int = Field(
        10, ge=1, description="iterations between values of the costly trace columns"
    )
    probe_every: int = Field(
        0,
        ge=0,
        description="iterations between looks at the minimum: sharpness, its ratio to what the "
        "optimizer can stay at, and with metrics_every the spectrum in bands; 0: none. At 100 a "
        "fit takes at most 1.3 times as long",
    )
    snapshots: int = Field(
        12, ge=0, le=1000, description="outputs kept along the way, evenly on a log scale; 0: none"
    )

    seed: int = Field(0, ge=0, lt=2**63, description="seed of everything random in the fit")
    seed_weights: int | None = Field(
        None, ge=0, lt=2**63, description="initial weights; None: from seed"
    )
    seed_input: int | None = Field(None, ge=0, lt=2**63, description="input; None: from seed")
    seed_jitter: int | None = Field(None, ge=0, lt=2**63, description="jitter; None: from seed")
    precision: Literal["auto", "fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="of the convolutions; loss, metrics and weights are always fp32. auto is the "
        "fastest that was measured to restore as well on such a device",
    )
    compile: Literal["auto", "off", "on"] = Field(
        "off",
        description="whether torch.compile makes one program of the network, which takes minutes; "
        "auto is where it was measured to pay and to restore as well",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto (cuda, mps or cpu, the first there is), cpu, cuda, cuda:N, mps",
    )

    @model_validator(mode="after")
    def _no_silent_field(self) -> Self:
        momentum_users = ("sgd", "rmsprop")
        for field, used, by in (
            ("momentum", self.optimizer in momentum_users, "optimizer sgd or rmsprop"),
            (
                "nesterov",
                self.optimizer == "sgd" and self.momentum > 0,
                "optimizer sgd with momentum above 0",
            ),
            ("betas", self.optimizer in ("adam", "adamw"), "optimizer adam or adamw"),
            ("lr_jump_at", self.lr_schedule == "jump", "lr_schedule jump"),
            ("lr_jump_by", self.lr_schedule == "jump", "lr_schedule jump"),
            ("weight_decay", self.optimizer != "lbfgs", "every optimizer but lbfgs"),
            ("line_search", self.optimizer == "lbfgs", "optimizer lbfgs"),
            ("fourier_scale", self.input_kind == "fourier", "input_kind fourier"),
            ("seed_input", self.input_kind != "meshgrid", "input_kind noise, gaussian or fourier"),
            ("seed_jitter", self.input_jitter > 0, "input_jitter above 0"),
            ("holdout_seed", self.holdout != 0, "a holdout above 0"),
        ):
            self._require(field, used, f"has no effect here; it is used with {by}")
        if self.net == "encdec":
            self._require("skip_channels", not self.skip_channels, "encdec has no skips; drop it")
        if self.input_kind == "meshgrid":
            wanted = self.input_channels in (None, 2)
            self._require("input_channels", wanted, "meshgrid has exactly 2")
        if self.input_kind == "fourier":
            even = (self.input_channels or 32) % 2 == 0
            self._require("input_channels", even, "fourier needs an even number")
        for field in ("precision", "compile"):
            self._require(field, not self.linearised, "linearised takes its default only; drop it")
        self._require("variance_window", self.variance_window != 1, "one output has no variance")
        for stop, ready, how in (
            ("val", self.holdout != 0, "holdout, e.g. 0.03"),
            ("sure", self.sure_sigma is not None, "sure_sigma, the noise level, e.g. 25"),
            ("wmv", self.variance_window > 0, "variance_window, e.g. 100"),
            ("emv", self.variance_window > 0, "variance_window, e.g. 100"),
        ):
            self._require("stop", self.stop != stop or ready, f"needs more; write {how}")
        jump = self.lr_jump_at is not None and self.lr_jump_by is not None
        needs = "needs more; write lr_jump_at and lr_jump_by, e.g. 1000 and 0.125"
        self._require("lr_schedule", self.lr_schedule != "jump" or jump, needs)
        inside = all(0 <= beta < 1 for beta in self.betas)
        self._require("betas", inside, "both must be at least 0 and below 1")
        return self

    def _require(self, field: str, fine: bool, why: str) -> None:
        value = getattr(self, field)
        if not fine and value != type(self).model_fields[field].default:
            raise ConfigError(f"{field}={value!r}: {why}", field=field)

    def digest(self) -> str:
        """Hexadecimal SHA-256 of a settled configuration: equal if and only if every field is.

        Only fields off their default count, so that a new field leaves old digests as they are;
        nothing held out counts as the default.
        """
        own = self.model_dump(mode="json", exclude_defaults=True)
        if not self.holdout:
            own.pop("holdout", None)
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()

    def seed_of(self, purpose: Literal["weights", "input", "jitter"]) -> int:
        """The seed of one named generator: its own field, or drawn from `seed` and its name."""
        own: int | None = getattr(self, f"seed_{purpose}")
        if own is not None:
            return own
        drawn = hashlib.sha256(f"{self.seed}/{purpose}".encode()).digest()
        return int.from_bytes(drawn[:8], "little") >> 1

    def settled(self, *, has_reference: bool, known: int, judged: bool = False) -> Self:
        """A copy with a number for `holdout`: a share where something judges by it, else 0.

        known: the number of measured pixels. judged: whether anything beside the fit's own rule
        judges by it; without the truth there is nothing else to judge by.
        """
        if self.holdout is not None:
            return self
        if has_reference and self.stop != "val" and not judged:
            return self.replace(holdout=0.0)
        return self.replace(holdout=min(max(HOLDOUT, HELD_PIXELS / known), MOST_HELD))

    def snapshot_iterations(self) -> list[int]:
        """The iterations whose output is kept, ascending: from the 10th to the last one."""
        first, last = min(10, self.iterations), self.iterations
        if self.snapshots < 2:
            return [last] * self.snapshots
        steps = self.snapshots - 1
        return sorted({round(first * (last / first) ** (i / steps)) for i in range(steps + 1)})

    def max_depth(self, height: int, width: int) -> int:
        """The greatest `depth` that this network takes on a height x width picture."""
        # the deepest map must be larger than the padding of its largest kernel
        needed = 4 if self.net == "convnext" else 2
        depth, side = 0, min(height, width)
        while -(-side // 2) >= needed:
            depth, side = depth + 1, -(-side // 2)
        return depth

    def check_size(self, height: int, width: int, *, picture: str = "") -> None:
        """Raises SizeError if a picture of this size in pixels is too small for the network.

        picture: its file or name, for the message.
        """
        size = f"picture of {height}x{width} pixels" + (f" ({picture})" if picture else "")
        if min(height, width) < MIN_SIZE:
            raise SizeError(f"{size}: the smaller side must be at least {MIN_SIZE}")
        deepest = self.max_depth(height, width)
        if self.depth > deepest:
            raise SizeError(
                f"depth={self.depth}: too deep for a {size} with net {self.net}; write at most "
                f"{deepest}",
                field="depth",
            )
