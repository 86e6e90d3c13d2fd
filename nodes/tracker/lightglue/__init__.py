"""DISK's keypoints, matched by LightGlue: a matcher whose weights are free."""
