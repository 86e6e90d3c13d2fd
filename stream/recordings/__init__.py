"""Recordings of unattended runs: encoded packets in, a folder of segments and their masks out (docs/recording.md)."""
