"""Search spaces by name, each with the question that it asks."""

from search_spaces import (
    demo,
    everything,
    inputs,
    learning_rate,
    networks,
    optimizers,
    regularisation,
    restore,
    skips,
)
from search_spaces.named import NamedSpace

SPACES: dict[str, NamedSpace] = {
    "demo": demo.SPACE,
    "networks": networks.SPACE,
    "skips": skips.SPACE,
    "optimizers": optimizers.SPACE,
    "learning_rate": learning_rate.SPACE,
    "inputs": inputs.SPACE,
    "regularisation": regularisation.SPACE,
    "restore": restore.SPACE,
    "everything": everything.SPACE,
}

__all__ = ["SPACES", "NamedSpace"]
