"""SAM 2.1 and EdgeTAM as mask models of single frames: their image encoders and mask decoders, without the memory."""
