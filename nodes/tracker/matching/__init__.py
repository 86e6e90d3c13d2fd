"""Point tracking by matching: each frame is matched with the one that an object's points were drawn on."""
