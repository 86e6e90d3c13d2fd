"""The topics of a run at a broker, and the ids that Home Assistant knows things by."""

from __future__ import annotations

import hashlib
import re
import socket
from dataclasses import dataclass

from stream.settings.cameras import camera_configs
from stream.settings.config import Config, FleetConfig

ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True)
class Names:
    """Topics by what they carry."""

    prefix: str
    run: str
    discovery: str = ""  # Home Assistant's prefix; empty: it is told nothing

    @property
    def run_availability(self) -> str:
        """`online` while the run lasts; the broker's last word of a run that has died is `offline`."""
        return f"{self.prefix}/runs/{self.run}/availability"

    @property
    def client_id(self) -> str:
        """The same for each connection of this run, so that a broker ends a lost one when the next one comes."""
        text = f"{self.run_availability}@{socket.gethostname()}"
        return f"sam-pt-live-{hashlib.sha256(text.encode()).hexdigest()[:10]}"  # 3.1.1 promises 23 characters

    def of(self, camera: str, what: str) -> str:
        """The topic of a camera: `availability`, `state`, `counts`, `events`, `snapshot`."""
        return f"{self.prefix}/cameras/{camera}/{what}"

    def device_id(self, camera: str) -> str:
        """What Home Assistant knows a camera by."""
        return identifier(f"{self.prefix}/{camera}".replace("/", "_"))

    def discovery_topic(self, camera: str) -> str:
        """Where Home Assistant reads of a camera."""
        return f"{self.discovery}/device/{self.device_id(camera)}/config"


def names_of(config: Config) -> Names:
    """The names of a run of one camera or of several."""
    own = config.mqtt
    run = "cameras" if isinstance(config, FleetConfig) else next(iter(camera_configs(config)))
    return Names(own.prefix, own.run or run, own.discovery)


def identifier(text: str) -> str:
    """The text in the characters that an id may have; two texts never give the same id."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", text)
    return plain if plain == text else f"{plain}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"
