"""What every study takes; the flags are made from these fields."""

from dataclasses import dataclass, field

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.sweep_config import Resources
from experiments.studies.pictures import MOST_NOISES, PHOTOGRAPHS, Photograph


@dataclass(frozen=True)
class StudyFlags:
    """The size of a study; its networks and settings are its own."""

    resources: Resources = field(default_factory=Resources)
    smoke_test: bool = False
    """a real run that is too small to mean anything: every step in under a minute"""
    full: bool = False
    """the size for a GPU, of studies whose default is for two cores"""
    pictures: tuple[Photograph, ...] = PHOTOGRAPHS
    """photographs, in scikit-image's words"""
    size: int = 256
    """pixels a side that they are reduced to"""
    noises: int = 1
    """realisations of the noise on each"""
    seeds: int = 5
    """fits of each configuration to each of these; their seeds are 0 and the numbers after it"""
    iterations: int = 3000
    """of each fit"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""
    storage_path: str = "runs"
    """where the results lie: a folder, or a URI such as s3://bucket/prefix"""
    name: str | None = None
    """the study's folder below storage_path; None: the study's name, -smoke behind it if so"""
    save_dir: str | None = None
    """the study's folder, instead of storage_path and name"""

    def __post_init__(self) -> None:
        given = ", ".join(self.pictures)
        if len(set(self.pictures)) < len(self.pictures) or not self.pictures:
            raise ConfigError(
                f"pictures={given or 'none'}: give one or more, each once", field="pictures"
            )
        if not 1 <= self.noises <= MOST_NOISES:
            raise ConfigError(
                f"noises={self.noises}: allowed is 1 to {MOST_NOISES}", field="noises"
            )
        if self.seeds < 1:
            raise ConfigError(f"seeds={self.seeds}: allowed is at least 1", field="seeds")
        if self.size < 16:
            raise ConfigError(f"size={self.size}: allowed is at least 16", field="size")
        FitConfig(iterations=self.iterations, device=self.device)  # says what is allowed

    @property
    def problems(self) -> int:
        """The number of pictures, each realisation of the noise counted."""
        return len(self.pictures) * self.noises

    @property
    def fit_seeds(self) -> list[int]:
        """The seeds of the fits."""
        return list(range(self.seeds))


# what a smoke test runs where a study needs no more
SMOKE_FLAGS = StudyFlags(
    smoke_test=True,
    pictures=("astronaut", "coffee"),
    size=32,
    seeds=2,
    iterations=30,
    device="cpu",
)
