"""TapNet, the point tracker of TAP-Vid, as a point model: a window of frames is seen at once."""
