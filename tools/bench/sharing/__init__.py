"""What batches of several cameras cost."""

from tools.bench.sharing.batches import measure

__all__ = ["measure"]
