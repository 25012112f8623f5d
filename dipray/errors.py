"""What a user can have done wrong: one small tree, each with a one-line message."""


class DiprayError(Exception):
    """Base of every error that is the user's to mend; its text is one line and complete."""


class ConfigError(DiprayError):
    """A setting has a wrong name, type or value.

    `field` names the setting, or is empty where several disagree.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), str(self), self.field))


def _rebuild(kind: type[ConfigError], message: str, field: str) -> ConfigError:
    return kind(message, field=field)


class SizeError(ConfigError):
    """A picture is too small for the network, or the network too deep for it."""


class ImageError(DiprayError):
    """A picture or mask cannot be read, written, or does not fit its companion."""


class ProblemError(DiprayError):
    """The measurement, operator, weight and reference do not belong together."""


class NoMemoryError(DiprayError):
    """A fit needs more memory than there is."""


class FolderError(DiprayError):
    """A results folder is missing, foreign, or cannot be written."""
