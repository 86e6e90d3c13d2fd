"""Drawn clips with known truth: what the lite preset's weights are fitted on, and what trackers are tested with."""
