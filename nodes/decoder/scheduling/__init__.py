"""What a live feed leaves time for: measured costs in; what is decoded, and how finely, out. Nothing reads a clock."""
