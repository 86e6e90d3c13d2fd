"""What the run tells systemd, where that has started it (docs/deploy.md)."""
