"""Studies, one a file, and the command line."""
