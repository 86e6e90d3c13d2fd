"""What fits the networks of `lite`: drawn clips, roll-outs of the live cores, PyTorch or numpy."""
