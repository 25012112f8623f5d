"""Schedulers replayed over finished sweeps."""
