"""Settings that cannot be wrong: a frozen pydantic model that says in one line what it refuses."""

import difflib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from dipray.errors import ConfigError


class StrictModel(BaseModel):
    """A frozen pydantic model; making one raises ConfigError: field, value and what is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _explain(type(self), error) from None

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes` applied and validated again; raises ConfigError."""
        return type(self)(**{**self.model_dump(), **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Settings from plain data, e.g. parsed JSON; raises ConfigError."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` takes back, ready for JSON."""
        return self.model_dump(mode="json")


_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_BOUND_WORDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def _explain(model: type[BaseModel], error: ValidationError) -> ConfigError:
    """The first complaint of pydantic as one line: field, value, what is allowed."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"][:1])
    if first["type"] == "extra_forbidden":
        names = list(model.model_fields)
        near = difflib.get_close_matches(field, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        return ConfigError(f"{field}: no such setting; {hint}", field=field)
    allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if field == "device":
        allowed = "auto, cpu, cuda, cuda:N or mps"
    elif first["type"] in ("tuple_type", "missing", "too_long"):
        allowed = "two numbers; in a grid, a list of pairs such as [[0.9, 0.99]]"
    elif first["type"] in _BOUNDS:
        allowed = " and ".join(
            f"{words} {getattr(bound, name):,.10g}"
            for name, words in _BOUND_WORDS.items()
            for bound in model.model_fields[field].metadata
            if hasattr(bound, name)
        )
    return ConfigError(f"{field}={first['input']!r}: allowed is {allowed}", field=field)
