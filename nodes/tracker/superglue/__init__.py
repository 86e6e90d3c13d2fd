"""SuperPoint's keypoints, matched by SuperGlue."""
