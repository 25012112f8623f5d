"""The pictures that a fit keeps, by name: those at its peaks, and those that rules pick."""

from dataclasses import dataclass

from dipray.config import FitConfig
from dipray.stopping import CRITERIA, RULES, make_rules
from dipray.trace import PEAKS


@dataclass(frozen=True)
class Kept:
    """A picture: the average or the output where a column is greatest (sign 1) or least (-1)."""

    name: str
    column: str
    sign: int
    is_average: bool


def pick_picture(rule: str) -> str:
    """The name of what a rule picks, always an average; absent where that is the last one, ema."""
    return f"pick_{rule}"


KEPT: dict[str, Kept] = {
    **{p.picture: Kept(p.picture, p.column, 1, p.column.endswith("_ema")) for p in PEAKS},
    **{
        pick_picture(rule): Kept(pick_picture(rule), column, sign, True)
        for rule, (column, sign) in CRITERIA.items()
    },
}
PICTURES: tuple[str, ...] = (
    *(peak.picture for peak in PEAKS),
    "final",
    "ema",
    *(pick_picture(rule) for rule in RULES if rule != "budget"),
)


def kept_by(config: FitConfig, *, has_reference: bool) -> dict[str, Kept]:
    """Those whose column this fit has."""
    columns = {CRITERIA[rule][0] for rule in make_rules(config) if rule in CRITERIA}
    columns |= {"psnr", "psnr_ema"} if has_reference else set()
    columns |= {"val_psnr"} if "val_psnr_ema" in columns else set()
    return {name: kept for name, kept in KEPT.items() if kept.column in columns}
