"""Search spaces by name, each with the question that it asks."""

from search_spaces import demo, everything, networks, optimizers
from search_spaces.named import NamedSpace

SPACES: dict[str, NamedSpace] = {
    "demo": demo.SPACE,
    "networks": networks.SPACE,
    "optimizers": optimizers.SPACE,
    "everything": everything.SPACE,
}

__all__ = ["SPACES", "NamedSpace"]
