"""Watch what a run publishes: masks and status in; a live table, plain lines, label images and a summary out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

if TYPE_CHECKING:  # loaded in main(), so that --help answers at once
    from rich.live import Live
    from rich.table import Table

    from stream.messages import ObjectMask
    from stream.public_wire.messages import Received
    from tools.reception import Reception

POLL_MS = 100
BIND_TIMEOUT_S = 10.0
REDRAW_NS = 125_000_000
STATE_STYLES = {"tracked": "green", "reacquired": "cyan", "uncertain": "yellow", "lost": "red"}


class Inbox(Protocol):
    """Where messages come from (`stream.transport.service_sockets.Listener`)."""

    def recv(self, timeout_ms: int) -> Sequence[bytes] | None:
        """The next message's parts, or None after `timeout_ms`."""


class View(Protocol):
    """How a person sees what comes."""

    def show(self, reception: Reception, unix_ns: int) -> None:
        """A masks message came."""

    def tick(self, reception: Reception, unix_ns: int) -> None:
        """Time has passed, with or without a message."""


class Lines:
    """One line a message, for pipes and files."""

    def show(self, reception: Reception, unix_ns: int) -> None:
        assert reception.newest
        masks = reception.newest.masks
        objects = [f"{_name(o)} {o.state} {o.origin} {o.score:.2f} {o.area} px {list(o.bbox)}" for o in masks.objects]
        print(
            f"{masks.stamp.camera} {_numbers_line(reception, unix_ns)} | {'; '.join(objects) or 'no objects'}",
            flush=True,
        )

    def tick(self, reception: Reception, unix_ns: int) -> None:
        pass


def _name(o: ObjectMask) -> str:
    """An object's id, and what the user calls it; the label came off the wire."""
    return f"{o.object_id} ({_printable(o.label)})" if o.label else str(o.object_id)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _status_line(status: dict[str, Any]) -> str:
    """The status in a line; a publisher of another version may send other keys."""
    from stream.supervision.dashboard import progress

    try:
        words = progress(status)
    except (KeyError, TypeError, ValueError):
        words = json.dumps(status)[:200]
    return "the run says: " + _printable(words)  # it came off the wire


class Screen:
    """A table that is redrawn a few times a second."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.drawn_ns = 0

    def show(self, reception: Reception, unix_ns: int) -> None:
        pass  # messages may come faster than eyes can follow

    def tick(self, reception: Reception, unix_ns: int) -> None:
        if abs(unix_ns - self.drawn_ns) >= REDRAW_NS:
            self.drawn_ns = unix_ns
            self.live.update(draw(reception, unix_ns), refresh=True)


def draw(reception: Reception, unix_ns: int) -> Table:
    """The table of the newest message's objects. What came off the wire is never read as markup."""
    from rich.table import Table
    from rich.text import Text

    camera = reception.newest.masks.stamp.camera if reception.newest else "waiting for masks"
    notes = [_numbers_line(reception, unix_ns)] if reception.newest else []
    if reception.status:
        notes.append(_status_line(reception.status))
    if reception.malformed:
        notes.append(f"malformed: {reception.malformed}, the last: {reception.why_malformed!a}")
    table = Table(title=Text(camera), caption=Text("\n".join(notes)), caption_justify="left", min_width=72)
    for heading in ("id", "state", "origin", "score", "area px", "bbox x, y, w, h"):
        table.add_column(heading, justify="left" if heading in ("state", "origin") else "right")
    for o in reception.newest.masks.objects if reception.newest else ():
        words = f"{o.state}: {_printable(o.reason)}" if o.reason else o.state
        table.add_row(
            Text(_name(o)),
            Text(words, STATE_STYLES[o.state]),
            o.origin,
            f"{o.score:.2f}",
            str(o.area),
            ", ".join(map(str, o.bbox)),
        )
    return table


def _numbers_line(reception: Reception, unix_ns: int) -> str:
    assert reception.newest
    stamp = reception.newest.masks.stamp
    quiet_s = (unix_ns - reception.arrivals_ns[-1]) / 1e9
    at_publish = reception.ages_at_publish_ms[-1]
    facts = [
        f"session {stamp.session} frame {stamp.frame_id}",
        f"{reception.rate_hz(unix_ns):.1f} Hz",
        f"age {reception.ages_ms[-1]:.0f} ms",
        # Two hosts' monotonic clocks have nothing to do with each other; below zero is the plain sign of it.
        f"{at_publish:.0f} ms at publishing" if at_publish >= 0 else "published on another host",
        f"passed over {reception.passed_over}",
        f"gaps {reception.gaps}",
        f"malformed {reception.malformed}",
    ]
    return ", ".join([*facts, f"silent for {quiet_s:.0f} s"] if quiet_s >= 2 else facts)


def follow(
    inbox: Inbox,
    reception: Reception,
    view: View,
    save: Callable[[Received], object] | None,
    clock: Callable[[], int],
    stopped: Callable[[], bool],
) -> None:
    """Take messages, count, save and show them, until `stopped` says so. A publisher that goes away is waited for."""
    while not stopped():
        parts = inbox.recv(POLL_MS)
        unix_ns = clock()
        received = reception.take(parts, unix_ns) if parts else None
        if received is not None:
            if save is not None:
                save(received)
            view.show(reception, unix_ns)
        view.tick(reception, unix_ns)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    from stream.console.output import nobody_reads_stdout, outputs
    from stream.console.process_arguments import hide_credentials
    from stream.errors import StreamError

    hide_credentials(sys.argv[1:] if argv is None else argv)
    with outputs(wait_for_stdout=True):
        args = parse(argv)
        try:
            return run(args)
        except StreamError as error:
            print(f"watch: {error}", file=sys.stderr)
            return error.exit_code
        except BrokenPipeError:
            nobody_reads_stdout()
            return 0
        except OSError as error:
            print(f"watch: {error}", file=sys.stderr)
            return 1


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with 2."""
    parser = argparse.ArgumentParser(description="Watch the masks that a run publishes, until Ctrl-C.")
    parser.add_argument("endpoint", nargs="?", help="tcp://HOST:PORT or ipc://PATH; default: the run on this machine")
    parser.add_argument("--camera", metavar="NAME", help="this camera alone, where there are several")
    parser.add_argument("--save-masks", metavar="DIR", help="write each message as a label image, named by frame id")
    parser.add_argument("--frames", type=_positive(int), metavar="N", help="stop after N masks messages")
    parser.add_argument("--duration", type=_positive(float), metavar="S", help="stop after S seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a summary at the end")
    parser.add_argument("--keys", default="", metavar="DIR", help="CURVE keys of the graph, where it asks for them")
    parser.add_argument("--plain", action="store_true", help="lines instead of a table (as without a terminal)")
    return parser.parse_args(argv)


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not 0 < (value := kind(text)) < float("inf"):
            raise ValueError
        return value

    number.__name__ = f"positive {kind.__name__}"  # argparse: "invalid positive int value: '0'"
    return number


def run(args: argparse.Namespace) -> int:
    """Subscribe and follow until a signal, --frames or --duration; the summary comes at the end in any case."""
    import contextlib
    import signal
    import time

    from stream.errors import ConfigError
    from stream.runtime import StopFlag
    from stream.settings.addresses import check_endpoint
    from stream.transport.service_sockets import subscribe
    from tools.reception import Reception

    if args.json and not args.json.parent.is_dir():
        raise ConfigError(f"--json {args.json}: the folder does not exist; make it first")
    endpoint = args.endpoint or _published_at(args.camera)
    check_endpoint("ENDPOINT", endpoint, secured=bool(args.keys), insecure=True)  # listening opens nothing to others

    signalled = StopFlag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: signalled.set())
    end_s = time.monotonic() + (args.duration or float("inf"))
    reception = Reception(args.camera)

    def stopped() -> bool:
        enough = args.frames is not None and reception.received >= args.frames
        return enough or signalled.is_set() or time.monotonic() >= end_s

    with contextlib.ExitStack() as stack:
        save = _label_images(args.save_masks) if args.save_masks else None
        inbox = subscribe(endpoint, [f"{topic}/{args.camera or ''}" for topic in ("masks", "status")], args.keys)
        stack.callback(inbox.close)
        view: View = Lines()
        if sys.stdout.isatty() and not args.plain:
            from rich.live import Live

            view = Screen(stack.enter_context(Live(draw(reception, 0), auto_refresh=False)))
        try:
            follow(inbox, reception, view, save, time.time_ns, stopped)
        finally:
            if args.json:
                args.json.write_text(json.dumps(reception.summary(), indent=2) + "\n")
    summary = reception.summary()
    print(", ".join(f"{key} {summary[key]}" for key in ("received", "gaps", "passed_over", "malformed")))
    return 0


def _published_at(camera: str | None) -> str:
    """Where the run on this machine publishes; a run that has only begun is given time to bind its socket."""
    import time

    from stream.errors import SourceError
    from stream.run_directory import find_run

    end_s = time.monotonic() + BIND_TIMEOUT_S
    while not (endpoint := find_run(camera).publish_endpoint):
        if time.monotonic() >= end_s:
            raise SourceError("the run has no publisher yet; see what its log says, and try again")
        time.sleep(POLL_MS / 1000)
    return endpoint


def _label_images(folder: str) -> Callable[[Received], object]:
    """What writes a message as a label image, just as a run's own --save-masks does."""
    from nodes.renderer.sinks import LabelImages, check_folder

    check_folder(folder, "--save-masks")
    images = LabelImages(folder)
    return lambda received: images.write(received.label_image(), received.masks.stamp.frame_id)


if __name__ == "__main__":
    sys.exit(main())
