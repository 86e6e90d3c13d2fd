#!/usr/bin/env python3
"""Steer a run: objects (add, refine, rename, remove, list), pause, snapshot, record, stats, ...; and make keys.

python tools/ctl.py add --point 320,180 --point 20,20,0
python tools/ctl.py add --box 100,80,220,200
python tools/ctl.py add --point 320,180 --frame 0:812      the frame that was seen: SESSION:FRAME_ID[:EPOCH]
python tools/ctl.py candidate 1 +                           the next larger mask that its prompt may mean
python tools/ctl.py refine 1 --point 340,190
python tools/ctl.py list
python tools/ctl.py --camera door add --point 320,180      where a run has several cameras
python tools/ctl.py add-camera yard --source rtsp://...
python tools/ctl.py doctor door.yaml                       whether a set-up is right, and what to mend
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stream.errors import ConfigError, ControlError, StreamError
from tools.doctor import command as doctor

TIMEOUT_S = 10.0


def main(argv: list[str]) -> int:
    """Run the command; the exit code is 0 for a result, 1 for a refusal, 2 for bad arguments, 3 for no answer."""
    from stream.console.output import nobody_reads_stdout, outputs
    from stream.console.process_arguments import hide_credentials

    hide_credentials(argv)
    with outputs(wait_for_stdout=True):
        try:
            return _main(argv)
        except BrokenPipeError:
            nobody_reads_stdout()
            return 0


def _main(argv: list[str]) -> int:
    try:
        arguments = _parser().parse_args(argv)
        if arguments.command == "doctor":
            return doctor.run(arguments)
        if arguments.command == "link":
            return link(arguments.camera)
        if arguments.command == "passwd":
            return passwd(arguments.file, arguments.role, arguments.name)
        if arguments.command == "keygen":
            return keygen(arguments.folder, arguments.role, arguments.name)
        result = ask(arguments, arguments.command, _params(arguments) | _camera(arguments))
    except ControlError as error:
        print(f"ctl: {error.code}: {error}", file=sys.stderr)
        return 1
    except StreamError as error:
        print(f"ctl: error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=1), flush=True)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(f"{message}; `python tools/ctl.py --help` lists the commands")


def _parser() -> _Parser:
    p = _Parser(prog="ctl.py", allow_abbrev=False, description="Steer a run of run_stream.py.")
    p.add_argument("--endpoint", help="control endpoint (default: the one run on this machine)")
    p.add_argument("--camera", help="which camera of a run, and which run, where several are going on")
    p.add_argument("--keys", default="", help="folder with a key pair, for a tcp endpoint with CURVE")
    p.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help="seconds to wait for the reply")
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False)

    for name, text in (("add", "follow a new object"), ("refine", "add points to an object")):
        c = command(name, text)
        if name == "refine":
            c.add_argument("object_id", type=int)
        c.add_argument("--point", action="append", default=[], metavar="x,y[,0|1]", help="on (1) or off (0) the object")
        if name == "add":
            c.add_argument("--box", metavar="x1,y1,x2,y2")
            c.add_argument("--mask", metavar="FILE.png", help="the pixels that are not 0")
        c.add_argument(
            "--frame", metavar="SESSION:FRAME_ID[:EPOCH]", help="the frame that was seen (default: the newest)"
        )
    c = command("candidate", "take another of the masks that an object's newest prompt may mean")
    c.add_argument("object_id", type=int)
    c.add_argument("step", choices=("+", "-"), help="+ the next larger, - the next smaller")
    command("undo", "take back the newest points of an object").add_argument("object_id", type=int)
    c = command("rename", "call an object something, or nothing with ''")
    c.add_argument("object_id", type=int)
    c.add_argument("label")
    command("remove", "stop following an object").add_argument("object_id", type=int)
    c = command("add-camera", "start one more camera in a run of several")
    c.add_argument("name")
    c.add_argument("--source", metavar="SOURCE", help="as of run_stream.py; without it that of the run's config")
    c.add_argument("--set", action="append", default=[], metavar="a.b=c", help="lay a value over the run's config")
    command("remove-camera", "end one camera of a run").add_argument("name")
    for name, text in (
        ("reload", "read the run's config again, and change what has changed in it"),
        ("list-cameras", "the cameras of the run, and how each is"),
        ("list", "the objects and their states"),
        ("pause", "hold the feed"),
        ("resume", "let the feed go on"),
        ("snapshot", "write the newest frame and its masks"),
        ("cameras", "the same as list-cameras"),
        ("stats", "the summary of the run so far"),
        ("link", "print another address of the page, which works once"),
        ("shutdown", "end the run"),
    ):
        command(name, text)
    command("find", "look for objects that nobody has pointed at (SAM)").add_argument("count", type=int)
    c = command("record", "start or end a recording")
    c.add_argument("on", choices=("on", "off"))
    c = command("keygen", "make the key pair for tcp endpoints, or that of a client")
    c.add_argument("folder")
    c.add_argument("--role", choices=("graph", "operator", "viewer"), default="graph", help="what the key opens")
    c.add_argument("--name", default="", help="of the operator or viewer, on the allow list")
    doctor.add_arguments(
        command("doctor", "check a set-up: packages, ports, folders, cameras, weights, clock; what to mend")
    )
    c = command("passwd", "set a password for the page (web.passwords)")
    c.add_argument("file")
    c.add_argument("name", help="1 to 64 of A-Z a-z 0-9 . _ -")
    c.add_argument("--role", choices=("operator", "viewer"), default="operator", help="acts and looks, or only looks")
    return p


METHODS = {
    "add": "add_object",
    "candidate": "choose_candidate",
    "refine": "refine_object",
    "undo": "undo_point",
    "rename": "rename_object",
    "find": "find_objects",
    "remove": "remove_object",
    "list": "list_objects",
    "cameras": "list_cameras",
    "list-cameras": "list_cameras",
    "add-camera": "add_camera",
    "remove-camera": "remove_camera",
}
OF_THE_RUN = ("cameras", "list-cameras", "add-camera", "remove-camera", "reload", "shutdown")  # of no one camera


def _params(arguments: argparse.Namespace) -> dict[str, Any]:
    """The params of the request that the arguments stand for."""
    from stream.console.prompt_arguments import parse_prompts
    from stream.supervision.prompt_checks import points_of

    params: dict[str, Any] = {}
    if arguments.command == "record":
        return {"on": arguments.on == "on"}
    if arguments.command == "add-camera":
        return {"camera": arguments.name, "config": _overlay(arguments)}
    if arguments.command == "remove-camera":
        return {"camera": arguments.name}
    if arguments.command == "rename":
        return {"object_id": arguments.object_id, "label": arguments.label}
    if arguments.command == "find":
        return {"count": arguments.count}
    if arguments.command == "candidate":
        return {"object_id": arguments.object_id, "step": 1 if arguments.step == "+" else -1}
    if arguments.command in ("refine", "undo", "remove"):
        params["object_id"] = arguments.object_id
    if arguments.command in ("add", "refine"):
        for text in (*arguments.point, *filter(None, [getattr(arguments, "box", None)])):
            if ":" in text:
                raise ConfigError(f"{text}: no ID here; ids are given by the run")
        box = getattr(arguments, "box", None)
        prompts = parse_prompts(arguments.point, [f"1:{box}"] if box else [], {})
        if prompts:
            params["points"] = points_of(prompts[0])
            params["box"] = list(prompts[0].box) if prompts[0].box else None
        if getattr(arguments, "mask", None):
            params["mask"] = _mask(arguments.mask)
        params["frame"] = _frame(arguments.frame)
    return {key: value for key, value in params.items() if value}


def _camera(arguments: argparse.Namespace) -> dict[str, Any]:
    """The parameter that names the camera, where the command is about one."""
    return {"camera": arguments.camera} if arguments.camera and arguments.command not in OF_THE_RUN else {}


def _overlay(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the new camera's config lays over that of the run."""
    from stream.settings.presets import parse_override

    values = dict(parse_override(text) for text in arguments.set)
    if arguments.source is not None:
        values["capture.source"] = arguments.source
    overlay: dict[str, Any] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        overlay.setdefault(section, {})[name] = value
    return overlay


def _frame(text: str | None) -> dict[str, int] | None:
    if text is None:
        return None
    numbers = text.split(":")
    if len(numbers) not in (2, 3) or not all(n.isascii() and n.isdigit() for n in numbers):
        raise ConfigError(f"--frame {text}: needs SESSION:FRAME_ID[:EPOCH], as in the header of the frame's masks")
    return dict(zip(("session", "frame_id", "epoch"), map(int, numbers), strict=False))


def _mask(path: str) -> dict[str, Any]:
    import numpy as np

    from nodes.capture.label_images import read_label_image
    from stream.crops import crop_mask

    bbox, crop = crop_mask(np.any(list(read_label_image(path).values()), axis=0))
    return {"bbox": bbox, "packbits": base64.b64encode(np.packbits(crop).tobytes()).decode()}


def ask(arguments: argparse.Namespace, command: str, params: dict[str, Any]) -> Any:
    """The result of one request; ControlError when it is refused, StreamError when nobody answers."""
    from stream.run_directory import find_run
    from stream.transport.service_sockets import RequestClient
    from stream.transport.wire import from_json, to_json

    endpoint = arguments.endpoint or find_run(arguments.camera).control_endpoint
    client = RequestClient(endpoint, arguments.keys)
    try:
        client.send(to_json({"id": 1, "method": METHODS.get(command, command), "params": params}))
        body = client.recv(int(arguments.timeout * 1000))
    finally:
        client.close()
    if body is None:
        raise NoAnswerError(f"no answer from {endpoint} within {arguments.timeout:g} s; is the run going on?")
    reply = from_json(body)
    if "error" in reply:
        raise ControlError(reply["error"]["code"], reply["error"]["message"])
    return reply["result"]


class NoAnswerError(StreamError):
    exit_code = 3


def link(camera: str | None) -> int:
    """Print an address that opens the page once; only who can write into the run's folder can make one."""
    from nodes.web.access.run_files import RunFiles
    from stream.run_directory import find_run_folder

    files = RunFiles(find_run_folder(camera))
    address = files.load_address()
    if address is None:
        raise ConfigError("the run has no page; start it with --web")
    if address.by_password:
        raise ConfigError(f"the page at {address.url} asks for a name and a password (web.passwords), not for a link")
    print(f"{address.url}?once={files.make_link()}", flush=True)
    return 0


def passwd(file: str, role: Literal["operator", "viewer"], name: str) -> int:
    """Write the account of that name with a password that is asked for twice, or read from a pipe."""
    import getpass

    from nodes.web.access.passwords import check_name, make_account, write_account

    check_name(name)
    if sys.stdin.isatty():
        password = getpass.getpass(f"password for {name}: ")
        if getpass.getpass("once more: ") != password:
            raise ConfigError("the two passwords differ; nothing was written")
    else:
        password = sys.stdin.readline().rstrip("\n")
    write_account(file, make_account(role, name, password))
    print(f"ctl: {file}: {name} is {role} there; the page asks for it with web.passwords={file}")
    return 0


def keygen(folder: str, role: Literal["graph", "operator", "viewer"], name: str) -> int:
    """Write the graph's key pair, which every host of it needs a copy of, or that of a client."""
    from stream.transport.keys import make_client_keys, make_keys

    if role == "graph":
        make_keys(folder)
        print(f"ctl: {folder}/graph.key_secret written; copy the folder to every host and set graph.keys to it")
        return 0
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise ConfigError(f"--name {name!r}: needs 1 to 64 of A-Z a-z 0-9 . _ - for the {role}")
    handed = make_client_keys(folder, role, name)
    print(f"ctl: {handed} written; hand that folder to {name}, who names it with --keys")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
