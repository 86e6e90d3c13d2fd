"""MP4 files that are written in fragments."""
