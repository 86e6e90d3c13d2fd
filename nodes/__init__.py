"""What each stage does: a folder a stage, each a pure core in a thin shell; one node never imports another."""
