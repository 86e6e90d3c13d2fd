"""Packets of whatever FFmpeg opens in, upright pictures out: in software, or by the GPU where there is one."""
