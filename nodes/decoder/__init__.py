"""The decoder node: turns points into masks."""
