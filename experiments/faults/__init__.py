"""Faults put into running sweeps, and what is left of the results."""
