"""How much each may ask: names in, whether there is something left out. A bucket each, filled again as time passes."""

from __future__ import annotations

from collections.abc import Callable

MAX_NAMES = 4096


class Allowances:
    """`burst` at once and `per_s` in the long run, for each name."""

    def __init__(self, burst: float, per_s: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._spent: dict[str, tuple[float, float]] = {}  # name -> (how much, as of when)

    def take(self, name: str) -> bool:
        """Whether there is one left for that name; it is spent."""
        spent = self._spent_by(name)
        if spent + 1 > self._burst:
            return False
        self._spent.pop(name, None)  # the newest comes last
        if len(self._spent) >= MAX_NAMES:
            self._forget()
        self._spent[name] = (spent + 1, self._clock())
        return True

    def give_back(self, name: str) -> None:
        """Let a name have all of its own again."""
        self._spent.pop(name, None)

    def _forget(self) -> None:
        """Make room: those that have all of theirs again are as good as forgotten; of the others the oldest go."""
        spending = [(n, s) for n, s in self._spent.items() if self._spent_by(n) > 0]
        self._spent = dict(spending[-MAX_NAMES * 3 // 4 :])

    def _spent_by(self, name: str) -> float:
        spent, at_s = self._spent.get(name, (0.0, 0.0))
        return max(0.0, spent - (self._clock() - at_s) * self._per_s)
