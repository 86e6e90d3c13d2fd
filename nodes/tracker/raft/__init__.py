"""RAFT, an optical flow network, as a point model: points are carried from frame to frame by the flow."""
