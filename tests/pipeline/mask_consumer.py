"""A program outside that reads the masks of a run."""

from __future__ import annotations

from collections import Counter

from running import PATIENCE_S, until

from stream.public_wire.messages import unpack_masks
from stream.run_directory import find_run
from stream.transport.service_sockets import subscribe


class Consumer:
    """A program outside that subscribes to the masks of all cameras."""

    def __init__(self):
        self._listener = subscribe(until(lambda: find_run().publish_endpoint, "the endpoint"), ["masks/"])
        self.counts = Counter()
        self.ids = {}

    def listen(self):
        """Take what has come."""
        while (parts := self._listener.recv(50)) is not None:
            masks = unpack_masks(parts).masks
            self.counts[masks.stamp.camera] += 1
            self.ids[masks.stamp.camera] = {o.object_id for o in masks.objects}

    def hears(self, *cameras, more=10, patience_s=PATIENCE_S):
        """Wait until so many more masks messages of each have come."""
        before = Counter(self.counts)

        def heard():
            self.listen()
            return all(self.counts[name] - before[name] >= more for name in cameras)

        until(heard, f"masks of {cameras}", patience_s)

    def close(self):
        self._listener.close()
