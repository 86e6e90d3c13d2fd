"""YAML presets and command-line overrides in, one frozen `Config` out, every value checked.

Where the file has `cameras:`, each of them is a whole `Config` as well (`stream/settings/cameras.py`).
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from stream.errors import ConfigError, nearest
from stream.settings.addresses import check_credentials, check_endpoint, source_kind
from stream.settings.cameras import add_cameras, camera_key, lay_over
from stream.settings.choices import needed, type_of, words_of
from stream.settings.config import Config, Decoder, Section, Tracker, parse_fit_size, parse_size
from stream.settings.integrations import check_mqtt, check_rtsp_push, check_webhooks
from stream.settings.options import MASK_BACKENDS, POINT_BACKENDS
from stream.settings.screen import choose_page, choose_screen
from stream.settings.secrets import redact, remember
from stream.settings.variables import fill_in
from stream.settings.web_access import check_web

CONFIG_DIR = Path(__file__).resolve().parents[2] / "configs"
LONGEST_SHOWN = 80  # characters of a value in a message
MOST = 1_000_000_000  # of a key with fractions, as all times are: 31 years
MOST_COUNTED = (1 << 53) - 1  # of a whole number: what JSON carries everywhere


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
    """The checked Config of a tree of plain values, with that of each of its cameras."""
    config = build_one({section: keys for section, keys in tree.items() if section != "cameras"})
    return add_cameras(config, tree, build_one) if "cameras" in tree else config


def build_one(tree: dict[str, Any]) -> Config:
    """The checked Config of a tree without cameras."""
    _check_keys(tree, Config, "")
    source = tree.get("capture", {}).get("source")
    if isinstance(source, str):
        remember(source)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_readable(str(error), tree)) from None
    _check_numbers(config)
    _check(config)
    return config


def parse_override(text: str) -> tuple[str, Any]:
    """("a.b", value) of `a.b=value`, the value read as YAML."""
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not (re.fullmatch(r"[A-Za-z_][\w]*(\.[\w]+)+", key.strip()) or camera_key(key.strip())):
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
    from stream.settings.yaml_files import read_yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = CONFIG_DIR / f"{name}.yaml"
        if not path.is_file():
            known = [p.stem for p in CONFIG_DIR.glob("*.yaml")]
            raise ConfigError(f"--config {name}: no such preset; {nearest(name, known)} (or give a .yaml file)")
    if str(path) in seen:
        raise ConfigError(f"--config {name}: its `base` leads back to itself")
    try:
        tree, written = read_yaml(path.read_text(encoding="utf-8"), f"--config {name}")
    except OSError as error:
        raise ConfigError(f"--config {name}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--config {name}: no YAML") from None
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise ConfigError(f"--config {name}: needs sections with keys, got a {type(tree).__name__}")
    base = tree.pop("base", None)
    own: dict[str, Any] = _typed_tree(tree, written, "")
    if base is None:
        return own
    return lay_over(_read_preset(str(base), (*seen, str(path))), own)


def _typed_tree(tree: Any, written: Any, prefix: str) -> Any:
    """The values of a tree as the config's types want them."""
    if not isinstance(tree, dict):
        return _typed(prefix.rstrip("."), tree, written)
    names = {str(key): key for key in tree}
    return {name: _typed_tree(tree[key], written[name], f"{prefix}{name}.") for name, key in names.items()}


def _typed(dotted: str, value: Any, written: Any) -> Any:
    """A value of the config; where text is needed, it is taken as it was written (`source: 0`, `budget_ms: off`)."""
    if not isinstance(value, bool | int | float | date):
        return value
    wanted = type_of(dotted)
    is_text = wanted is str or getattr(wanted, "__origin__", None) is str or str(written) in words_of(wanted)
    return str(written) if is_text else value


def _lay(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = camera_key(dotted) or dotted.split(".")
    for section in sections:
        inner = tree[section] = tree.get(section) or {}
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
    """Key and value, then what is needed: `tracker.horizon is 'x'; needs a whole number from 2 to 64`."""
    sentence, _, path = error.rstrip("`").partition(" - at `")
    if "zones." in path and ("[" in path or " in `" in path):  # of an entry that the user has named
        place = path.removeprefix("$.").replace("[...]", ".NAME").replace("key` in `$.", "a name in ")
        if sentence.startswith("Expected `object`"):
            return f"{place}: needs keys with values, such as {{points: [[0.1, 0.2], [0.5, 0.2], [0.5, 0.8]]}}"
        came = sentence[0].lower() + sentence[1:]
        return f"{place}: {came}; needs what docs/zones.md says of it"
    *sections, key = path.removeprefix("$.").split("[")[0].split(".")
    for section in [*sections, key]:
        tree = tree.get(section) if isinstance(tree, dict) else tree
    return _refusal(".".join([*sections, key]), tree)


def _refusal(dotted: str, value: Any) -> str:
    if value is None:
        shown = "nothing (null)"
    else:
        shown = str(value).lower() if isinstance(value, bool) else redact(repr(value))
    if len(shown) > LONGEST_SHOWN:
        shown = shown[:LONGEST_SHOWN] + "..."
    return f"{dotted} is {shown}; needs {needed(type_of(dotted))}"


def _check_numbers(config: Config) -> None:
    """Refuse numbers that nothing can be counted or timed with."""
    for section in msgspec.structs.fields(config):
        own = getattr(config, section.name)
        for field in msgspec.structs.fields(own):
            value, dotted = getattr(own, field.name), f"{section.name}.{field.name}"
            most = MOST if isinstance(value, float) else MOST_COUNTED
            if isinstance(value, int | float) and abs(value) > most:
                raise ConfigError(f"{_refusal(dotted, value)}, at most {most}")


def _check_tracker(own: Tracker) -> None:
    """What the point model does not bear."""
    facts, size = POINT_BACKENDS[own.backend], parse_fit_size(own.size)
    if own.horizon > facts.most_frames:
        raise ConfigError(
            f"tracker.horizon is {own.horizon}; {own.backend} sees {facts.most_frames} frames: "
            f"give 2 to {facts.most_frames}"
        )
    if own.precision != "float32" and not facts.halves:
        raise ConfigError(f"tracker.precision is {own.precision}; {own.backend} computes in float32")
    if own.patch_similarity and facts.matches:
        raise ConfigError(
            f"tracker.patch_similarity is {own.patch_similarity:g}; {own.backend} takes other points on each frame, "
            "whose patches tell nothing: give 0"
        )
    if size is not None and min(size) < facts.smallest_px:
        raise ConfigError(
            f"tracker.size is {own.size}; {own.backend} needs {facts.smallest_px}x{facts.smallest_px} px or more "
            "(HEIGHTxWIDTH)"
        )


def _check_decoder(own: Decoder) -> None:
    """What the mask model has not."""
    models = MASK_BACKENDS[own.backend].models
    if models and own.model not in models:
        raise ConfigError(
            f"decoder.model is {own.model}, which decoder.backend {own.backend} does not have; "
            f"give {' | '.join(models)}"
        )


def _check(config: Config) -> None:
    """What no single key can tell."""
    c = config.capture
    if source_kind(c.source) in ("rtsp", "network"):
        check_credentials(c.source)
    if c.backoff_max_s < c.backoff_s:
        raise ConfigError(
            f"capture.backoff_max_s is {c.backoff_max_s}; needs capture.backoff_s ({c.backoff_s}) or more"
        )
    if config.decoder.auto and config.decoder.backend == "lite":
        raise ConfigError("--auto needs a SAM decoder, which --config lite has not; give --config sam_pt or another")
    if config.supervisor.threads and config.renderer.window:
        raise ConfigError("--window needs a process of its own; leave out --threads")
    _check_tracker(config.tracker)
    _check_decoder(config.decoder)
    check_web(config.web, insecure=config.graph.insecure)
    check_mqtt(config.mqtt)
    check_webhooks(config.webhooks)
    check_rtsp_push(config.renderer.rtsp_push)
    for name in ("demo_size", "camera_size"):
        text = getattr(c, name)
        if text and min(parse_size(text)) < 64:
            raise ConfigError(f"capture.{name} is {text}; needs 64x64 or more")
    for key, endpoint in (
        ("publisher.endpoint", config.publisher.endpoint),
        ("control.endpoint", config.control.endpoint),
        ("graph.address", f"tcp://{config.graph.address}:0" if config.graph.engine == "ray" else ""),
        *((f"graph.endpoints.{t}", e) for t, e in config.graph.endpoints.items()),
    ):
        if endpoint:
            check_endpoint(
                key,
                endpoint,
                secured=bool(config.graph.keys),
                insecure=config.graph.insecure,
                any_port=not key.startswith("graph.endpoints."),
            )
