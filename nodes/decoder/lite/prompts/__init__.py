"""A prompt in, the first mask of an object out, without weights to download."""
