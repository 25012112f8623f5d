"""The names of verdicts on a difference, and of the ways that fits were paired for it."""

LARGER, SMALLER, NOT_SHOWN, ONE_SEED = "larger", "smaller", "not shown", "one seed"
STRICT, COMPANIONS, BEST = "strict", "with companions", "best of each"
