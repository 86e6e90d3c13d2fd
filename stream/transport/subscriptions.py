"""What the clients of a Broadcast subscribe to, in; whether somebody subscribes to a topic, out. Bounded a client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

PREFIXES = 256  # of a client that are remembered; who has more counts as one that subscribes to everything


class Subscriptions:
    """Prefixes of topics by client. Looking a topic up costs the same however many there are."""

    def __init__(self) -> None:
        self._prefixes: dict[Hashable, set[bytes]] = {}  # of each client
        self._clients: Counter[bytes] = Counter()  # of each prefix, how many subscribe to it
        self._without_bound: set[Hashable] = set()  # clients with more than are remembered

    def add(self, client: Hashable, prefix: bytes) -> None:
        """A client subscribes to all topics that begin so."""
        prefixes = self._prefixes.setdefault(client, set())
        if prefix in prefixes:
            return
        if len(prefixes) >= PREFIXES:
            self._without_bound.add(client)
            return
        prefixes.add(prefix)
        self._clients[prefix] += 1

    def remove(self, client: Hashable, prefix: bytes) -> None:
        """A client does so no longer."""
        prefixes = self._prefixes.get(client, set())
        if prefix in prefixes:
            prefixes.remove(prefix)
            self._forget(prefix)

    def leave(self, client: Hashable) -> None:
        """A client is gone."""
        for prefix in self._prefixes.pop(client, ()):
            self._forget(prefix)
        self._without_bound.discard(client)

    def cover(self, topic: bytes) -> bool:
        """Whether somebody subscribes to the topic, or to a prefix of it."""
        return bool(self._without_bound) or any(topic[:n] in self._clients for n in range(len(topic) + 1))

    def __len__(self) -> int:
        """How many prefixes are remembered, of all clients."""
        return self._clients.total()

    def _forget(self, prefix: bytes) -> None:
        self._clients[prefix] -= 1
        if not self._clients[prefix]:
            del self._clients[prefix]
