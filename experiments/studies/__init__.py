"""The studies: each a sweep that answers one question, with its tables and figures."""
