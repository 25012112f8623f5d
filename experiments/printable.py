"""Text from files for a terminal: what could steer it is left out."""

import re

# control characters but line break and tab, overrides of the direction of writing
_STEERING = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")


def printable(text: str) -> str:
    """The text without control characters, such as those that begin a colour or clear a screen."""
    return _STEERING.sub("", text)
