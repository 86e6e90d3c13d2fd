"""What a run depends on: the config, its presets and the addresses in it."""
