"""What the doctor finds: one sentence a matter, and what to do about it; whatever a check raises becomes a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from stream.errors import StreamError
from stream.settings.secrets import redact

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One matter."""

    check: str
    state: State
    text: str
    mend: str = ""  # what to do; empty where nothing is to be done

    def shown(self) -> dict[str, str]:
        """As it goes out: without passwords, each text one line."""
        return {key: " ".join(redact(str(value)).split()) for key, value in asdict(self).items()}


def ok(check: str, text: str) -> Finding:
    """Nothing is to be done."""
    return Finding(check, "ok", text)


def warning(check: str, text: str, mend: str) -> Finding:
    """A run works all the same."""
    return Finding(check, "warning", text, mend)


def problem(check: str, text: str, mend: str) -> Finding:
    """A run does not work, or not for long."""
    return Finding(check, "problem", text, mend)


def refused(check: str, error: Exception, where: str = "") -> Finding:
    """The finding of one of our errors, which say first what came and then what to do."""
    text, _, mend = str(error).partition("; ")
    return problem(check, where + text, mend)


def look(check: str, act: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a check finds; an error of ours is a problem, and so is any other: the doctor itself never fails."""
    found: list[Finding] = []
    try:
        found += act()
    except StreamError as error:
        found.append(refused(check, error))
    except ImportError as error:
        found.append(problem(check, f"can't be checked: {error}", "install the packages that are missing"))
    except Exception as error:
        found.append(problem(check, f"can't be checked: {type(error).__name__}: {error}", "tell us, with this line"))
    return found
