"""Zones and lines: masks of a frame in, what objects did out."""
