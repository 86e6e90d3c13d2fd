"""The mask model without weights: optical flow, colours and a small fitted network."""
