"""Captions: text from files on a figure of matplotlib."""

MOST_LETTERS = 60


def caption(text: str) -> str:
    """The text in one line, as it is: no formula between dollars, nothing unprintable, not long."""
    words = " ".join(text.split())
    plain = "".join(sign for sign in words if sign.isprintable())
    if len(plain) > MOST_LETTERS:
        plain = f"{plain[: MOST_LETTERS - 1]}…"
    return plain.replace("$", r"\$")
