"""Verdicts: what the rules written down in a study say of it."""

import pandas as pd

from experiments.studies.findings import Findings


class Verdicts:
    """Says each verdict as it comes, and keeps them for a table."""

    def __init__(self, found: Findings) -> None:
        self._found = found
        self._rows: list[dict[str, str]] = []

    def say(self, what: str, verdict: str, sentence: str) -> None:
        """A line on the terminal: what was asked of, supported or not, and the numbers."""
        self._found.say(f"{what}: {verdict}: {sentence}")
        self._rows.append({"what": what, "verdict": verdict, "sentence": sentence})

    def write(self, name: str) -> None:
        """All of them as a table."""
        self._found.write(name, pd.DataFrame(self._rows, columns=["what", "verdict", "sentence"]))
