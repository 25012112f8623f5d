"""What the stability studies share as studies: size, fits and folder."""

from collections.abc import Callable
from dataclasses import replace

from dipray.config import FitConfig
from dipray.sweep import Grid
from experiments.studies.findings import Findings
from experiments.studies.flags import SMOKE_FLAGS, StudyFlags
from experiments.studies.study import Study

TWO_CORES = StudyFlags(
    pictures=("astronaut", "chelsea", "coffee"), size=64, seeds=3, iterations=1000, device="cpu"
)
ON_GPU = replace(StudyFlags(), full=True, size=256, seeds=5, iterations=5000)
SMOKE = replace(SMOKE_FLAGS, pictures=TWO_CORES.pictures, seeds=1, iterations=40)


def base(flags: StudyFlags) -> FitConfig:
    """What all fits share."""
    depth, features, every = (5, 128, 100) if flags.full else (2, 16, 50)
    if flags.smoke_test:
        depth, features, every = 2, 4, 10
    return FitConfig(
        depth=depth,
        features=features,
        input_jitter=0.0,
        iterations=flags.iterations,
        probe_every=every,
        metrics_every=5,
        snapshots=0,
        variance_window=0,
        device=flags.device,
    )


def stability_study(
    name: str,
    said: str | None,
    *,
    space: Callable[[StudyFlags], Grid],
    answer: Callable[[Findings], None],
) -> Study:
    """A study of the folder that all of them share, over three photographs or more."""
    return Study(
        name=f"stability.{name}",
        run="stability",
        said=said or "",
        full=TWO_CORES,
        on_gpu=ON_GPU,
        smoke=SMOKE,
        base=base,
        space=space,
        answer=answer,
        metric="psnr_peak",
        fewest_pictures=3,
        most_noises=1,
    )
