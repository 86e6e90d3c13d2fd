"""PIPS on line and as its authors compute it, timed; and what its parts cost in operations."""
