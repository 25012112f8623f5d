"""The parts of `dipray restore`."""
