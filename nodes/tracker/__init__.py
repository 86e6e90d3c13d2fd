"""The tracker node: follows query points through the feed."""
