"""What everything costs, each beside what one would write without this project."""
