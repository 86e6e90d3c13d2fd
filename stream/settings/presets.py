"""YAML presets and command-line overrides in, one frozen `Config` out, every value checked."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from stream.errors import ConfigError, nearest
from stream.settings.addresses import check_endpoint, check_rtsp, source_kind
from stream.settings.choices import needed, type_of, words_of
from stream.settings.config import Config, Section, Tracker, parse_fit_size, parse_size
from stream.settings.options import POINT_BACKENDS
from stream.settings.screen import choose_page, choose_screen
from stream.settings.secrets import redact, remember
from stream.settings.variables import fill_in
from stream.settings.web_access import check_web

CONFIG_DIR = Path(__file__).resolve().parents[2] / "configs"


def load(preset: str, overrides: dict[str, Any] | None = None) -> Config:
    """The config of a preset name or a YAML file, with dotted `overrides` laid over it.

    A preset may name another with `base:`; its own keys are laid over that one's. ConfigError says which key is wrong.
    """
    tree = _read_preset(preset, ())
    for key, value in (overrides or {}).items():
        _lay(tree, key, value)
    choose_screen(tree, os.environ)
    choose_page(tree)
    return build(fill_in(tree))


def build(tree: dict[str, Any]) -> Config:
    """The checked Config of a tree of plain values."""
    _check_keys(tree, Config, "")
    source = tree.get("capture", {}).get("source")
    if isinstance(source, str):
        remember(source)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_readable(str(error), tree)) from None
    _check(config)
    return config


def parse_override(text: str) -> tuple[str, Any]:
    """("a.b", value) of `a.b=value`, the value read as YAML."""
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][\w]*(\.[\w]+)+", key.strip()):
        raise ConfigError(f"--set {redact(text)}: needs SECTION.KEY=VALUE, for example --set tracker.horizon=8")
    try:
        return key.strip(), _typed(key.strip(), yaml.safe_load(value), value.strip())
    except yaml.YAMLError:
        raise ConfigError(f"--set {redact(text)}: the value is no YAML; quote it") from None


def plain(config: Config) -> dict[str, Any]:
    """The config as plain values, for a file or a log (credentials not yet redacted)."""
    tree: dict[str, Any] = msgspec.to_builtins(config)
    return tree


def _read_preset(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    import yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = CONFIG_DIR / f"{name}.yaml"
        if not path.is_file():
            known = [p.stem for p in CONFIG_DIR.glob("*.yaml")]
            raise ConfigError(f"--config {name}: no such preset; {nearest(name, known)} (or give a .yaml file)")
    if str(path) in seen:
        raise ConfigError(f"--config {name}: its `base` leads back to itself")
    try:
        text = path.read_text(encoding="utf-8")
        tree, written = yaml.safe_load(text) or {}, yaml.load(text, yaml.BaseLoader)
    except OSError as error:
        raise ConfigError(f"--config {name}: can't be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        raise ConfigError(f"--config {name}: no YAML{f' at line {where.line + 1}' if where else ''}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"--config {name}: needs sections with keys, got a {type(tree).__name__}")
    base = tree.pop("base", None)
    for section, keys in tree.items():
        if isinstance(keys, dict):
            tree[section] = {
                key: _typed(f"{section}.{key}", value, written[section][key]) for key, value in keys.items()
            }
    if base is None:
        return tree
    under = _read_preset(str(base), (*seen, str(path)))
    for section, keys in tree.items():
        if isinstance(keys, dict) and isinstance(under.get(section), dict):
            under[section] = {**under[section], **keys}
        else:
            under[section] = keys
    return under


def _typed(dotted: str, value: Any, written: Any) -> Any:
    """A value of the config; where text is needed, it is taken as it was written (`source: 0`, `budget_ms: off`)."""
    if not isinstance(value, bool | int | float | date):
        return value
    wanted = type_of(dotted)
    is_text = wanted is str or getattr(wanted, "__origin__", None) is str or str(written) in words_of(wanted)
    return str(written) if is_text else value


def _lay(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        inner = tree.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{dotted}: {section} is no section")
        tree = inner
    tree[key] = value


def _check_keys(tree: Any, kind: Any, prefix: str) -> None:
    """Refuse keys that the struct does not have, with the nearest name."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{prefix.rstrip('.')}: needs keys with values, got {tree!r}")
    fields = {f.name: f.type for f in msgspec.structs.fields(kind)}
    for key, value in tree.items():
        if key not in fields:
            raise ConfigError(f"{prefix}{key}: unknown key; {nearest(str(key), fields)}")
        if isinstance(fields[key], type) and issubclass(fields[key], Section):
            _check_keys(value, fields[key], f"{prefix}{key}.")


def _readable(error: str, tree: Any) -> str:
    """Key and value, then what is needed, or msgspec's sentence: `tracker.horizon is 'x': expected int, got str`."""
    sentence, _, path = error.rstrip("`").partition(" - at `$.")
    if not path:
        return sentence
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, dict) else tree
    if words := needed(type_of(path)):
        return f"{path} is {redact(repr(tree))}; needs {words}"
    return f"{path} is {redact(repr(tree))}: {sentence[0].lower()}{sentence[1:]}"


def _check_tracker(own: Tracker) -> None:
    """What the point model does not bear."""
    facts, size = POINT_BACKENDS[own.backend], parse_fit_size(own.size)
    if own.horizon > facts.most_frames:
        raise ConfigError(
            f"tracker.horizon is {own.horizon}; {own.backend} sees {facts.most_frames} frames: "
            f"give 2 to {facts.most_frames}"
        )
    if own.backend == "tapnet" and own.precision != "float32":
        raise ConfigError(f"tracker.precision is {own.precision}; tapnet computes in float32")
    if size is not None and min(size) < facts.smallest_px:
        raise ConfigError(
            f"tracker.size is {own.size}; {own.backend} needs {facts.smallest_px}x{facts.smallest_px} px or more "
            "(HEIGHTxWIDTH)"
        )


def _check(config: Config) -> None:
    """What no single key can tell."""
    c = config.capture
    if source_kind(c.source) == "rtsp":
        check_rtsp(c.source)
    if c.backoff_max_s < c.backoff_s:
        raise ConfigError(
            f"capture.backoff_max_s is {c.backoff_max_s}; needs capture.backoff_s ({c.backoff_s}) or more"
        )
    if config.decoder.auto and config.decoder.backend == "lite":
        raise ConfigError("--auto needs a SAM decoder, which --config lite has not; give --config sam_pt or another")
    if config.supervisor.threads and config.renderer.window:
        raise ConfigError("--window needs a process of its own; leave out --threads")
    _check_tracker(config.tracker)
    check_web(config.web, insecure=config.graph.insecure)
    for name in ("demo_size", "camera_size"):
        text = getattr(c, name)
        if text and min(parse_size(text)) < 64:
            raise ConfigError(f"capture.{name} is {text}; needs 64x64 or more")
    for key, endpoint in (
        ("publisher.endpoint", config.publisher.endpoint),
        ("control.endpoint", config.control.endpoint),
        *((f"graph.endpoints.{t}", e) for t, e in config.graph.endpoints.items()),
    ):
        if endpoint:
            check_endpoint(
                key,
                endpoint,
                secured=bool(config.graph.keys),
                insecure=config.graph.insecure,
                any_port=not key.startswith("graph."),
            )
