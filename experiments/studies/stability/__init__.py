"""Minima stability measured: studies that share their fits, and a check of the instrument."""
