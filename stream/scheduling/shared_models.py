"""The models of one process: each loaded once, however many cameras use it, and one queue for each device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from stream.scheduling.shared_model import SharedModel

T = TypeVar("T")


class SharedModels:
    """What the nodes of a process share. Any thread may ask."""

    def __init__(self) -> None:
        self.loads: dict[Hashable, int] = {}  # how often each was loaded: once
        self._loaded: dict[Hashable, object] = {}
        self._loading: dict[Hashable, threading.Lock] = {}
        self._devices: dict[str, SharedModel] = {}
        self._lock = threading.Lock()

    def load(self, key: Hashable, load: Callable[[], T]) -> T:
        """The model of that key: the one in memory, or what `load` makes, while others of its key wait.

        What `load` raises is raised here, and the next to ask tries again.
        """
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            if key not in self._loaded:
                self._loaded[key] = load()
                self.loads[key] = self.loads.get(key, 0) + 1
            return cast(T, self._loaded[key])

    def device(self, name: str) -> SharedModel:
        """The queue of a device."""
        with self._lock:
            if name not in self._devices:
                self._devices[name] = SharedModel(name)
            return self._devices[name]

    @property
    def lost(self) -> str:
        """What a device said when it was lost; empty while there are all of them."""
        return next((device.lost for device in self._all() if device.lost), "")

    def release(self, camera: str) -> None:
        """A camera is about to go: nothing that it waits for holds it back."""
        for device in self._all():
            device.release(camera)

    def forget(self, camera: str) -> None:
        """A camera is gone."""
        for device in self._all():
            device.forget(camera)

    def close(self) -> None:
        """End every queue."""
        for device in self._all():
            device.close()

    def _all(self) -> list[SharedModel]:
        with self._lock:
            return list(self._devices.values())
