"""TaskConfig: which files make a problem, and how."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic.functional_validators import BeforeValidator

from dipray.config import MAX_PIXELS, Kernel
from dipray.errors import ConfigError
from dipray.strict_model import StrictModel


def _path(value: object) -> object:
    return Path(value) if isinstance(value, str) else value


def _paths(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _readable(value: object) -> object:
    """A path that is no UTF-8 with its bytes spelt out, as a table can hold it."""
    if not isinstance(value, str):
        return value
    return os.fsencode(value).decode("utf-8", "backslashreplace")


FilePath = Annotated[Path, BeforeValidator(_path)]
FilePaths = Annotated[tuple[FilePath, ...], BeforeValidator(_paths)]
Limit = Annotated[
    int, Field(ge=1, description="larger pictures are refused, since they may be bombs")
]


class _Picture(StrictModel):
    image: FilePath | None = Field(None, description="the damaged picture")
    gt: FilePath | None = Field(None, description="its truth, to score against; optional")
    clean: FilePath | None = Field(
        None, description="instead of image: a clean picture that is damaged here and scored"
    )
    max_pixels: Limit = MAX_PIXELS


class _Pictures(StrictModel):
    image: FilePaths = Field((), description="the damaged pictures")
    gt: FilePaths = Field((), description="their truths, in the same order; optional")
    clean: FilePaths = Field(
        (), description="instead of image: clean pictures that are damaged here and scored"
    )
    max_pixels: Limit = MAX_PIXELS


class Damage(StrictModel):
    """What happened to the picture; raises ConfigError."""

    task: Literal["denoise", "superres", "inpaint"] = Field("denoise", description="what to undo")
    noise_sigma: float | None = Field(
        None,
        ge=0,
        le=255,
        description="noise added to clean: standard deviation on the scale 0 to 255, clipped",
    )
    noise_seed: int = Field(0, ge=0, lt=2**63, description="seed of that noise")
    clip_sigma: float | None = Field(
        None,
        gt=0,
        le=255,
        description="denoise: the picture's noise has this level and was clipped to black and "
        "white, which the fit then models; None: it explains the picture as it is",
    )
    scale: int | None = Field(None, ge=2, le=64, description="superres: enlarge so many times")
    kernel: Kernel = Field("lanczos3", description="superres: antialiasing filter of the model")
    mask: FilePath | None = Field(
        None, description="inpaint: a picture, white where known and black where missing"
    )
    mask_share: float | None = Field(
        None, gt=0, lt=1, description="inpaint: hide this random share of the pixels instead"
    )
    mask_seed: int = Field(0, ge=0, lt=2**63, description="inpaint: seed of the random mask")


class TaskConfig(Damage, _Picture):  # Damage first puts its flags last
    """What is to be restored.

    Either `image` is the damaged picture (with `gt` its truth, if known), or `clean` is the truth
    and the damage is made here: noise, a lower resolution or a mask.
    """

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.image is None) == (self.clean is None):
            raise ConfigError(
                "give either image (the damaged picture) or clean (a picture to damage here)",
                field="image",
            )
        if self.clean is not None and self.gt is not None:
            raise ConfigError("gt: clean is the truth already; drop gt", field="gt")
        if self.noise_sigma is not None and self.clean is None:
            raise ConfigError(
                "noise_sigma: noise is added to clean only; write clean instead of image",
                field="noise_sigma",
            )
        if self.task == "denoise" and self.clean is not None and not self.noise_sigma:
            raise ConfigError("noise_sigma: denoising a clean picture needs it, e.g. 25")
        if (self.scale is not None) != (self.task == "superres"):
            what = "needs it, e.g. 4" if self.task == "superres" else "does not take it"
            raise ConfigError(f"scale: {self.task} {what}", field="scale")
        masks = (self.mask is not None) + (self.mask_share is not None)
        if masks != (self.task == "inpaint"):
            what = "needs one of mask and mask_share" if self.task == "inpaint" else "takes no mask"
            raise ConfigError(f"mask: {self.task} {what}", field="mask")
        for field, used, by in (
            ("noise_seed", self.noise_sigma is not None, "noise_sigma"),
            ("mask_seed", self.mask_share is not None, "mask_share"),
            ("kernel", self.task == "superres", "task superres"),
            ("clip_sigma", self.task == "denoise", "task denoise"),
        ):
            value = getattr(self, field)
            if not used and value != type(self).model_fields[field].default:
                raise ConfigError(
                    f"{field}={value!r}: has no effect here; it is used with {by}", field=field
                )
        return self

    @property
    def source(self) -> Path:
        """The file that the problem is named after."""
        path = self.image or self.clean
        assert path is not None
        return path

    def origin(self) -> dict[str, Any]:
        """How the problem is made, as plain data; the limit of the reader has no part in it."""
        made = self.model_dump(mode="json", exclude={"max_pixels"})
        return {name: _readable(value) for name, value in made.items()}


class PicturesConfig(Damage, _Pictures):
    """The same damage to several pictures.

    Either `image` are damaged pictures (with `gt` their truths, if known), or `clean` are the
    truths and the damage is made here: noise, a lower resolution or a mask.
    """

    def tasks(self) -> list[TaskConfig]:
        """One task for each picture; raises ConfigError where the lists do not match."""
        if self.gt and len(self.gt) != len(self.image):
            raise ConfigError(
                f"gt: {len(self.gt)} truths for {len(self.image)} pictures; give one for each",
                field="gt",
            )
        rest = self.model_dump(exclude={"image", "gt", "clean"})
        paths = [path.resolve() for path in (*self.image, *self.clean)]
        twice = next((path for path in paths if paths.count(path) > 1), None)
        if twice is not None:
            raise ConfigError(f"{twice} is given twice; give each picture once", field="image")
        if self.image and self.clean:
            raise ConfigError("give either image or clean, not both", field="image")
        if self.clean:
            return [TaskConfig(clean=path, **rest) for path in self.clean]
        truths = self.gt or (None,) * len(self.image)
        pairs = zip(self.image, truths, strict=True)
        tasks = [TaskConfig(image=path, gt=truth, **rest) for path, truth in pairs]
        return tasks or [TaskConfig(**rest)]  # raises: there is no picture
