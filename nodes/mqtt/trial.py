"""Whether a broker lets us in, for `tools/ctl.py doctor`. Nothing is published, and a connected run stays so."""

from __future__ import annotations

import asyncio
import uuid

import aiomqtt

from nodes.mqtt.client import check_tls, quiet, tls_context
from stream.settings.integrations import Mqtt, broker_of, check_mqtt_files


def why_not_let_in(own: Mqtt, timeout_s: float) -> str:
    """Why the broker of `mqtt.url` does not take us, in its words; empty where it does. ConfigError for wrong files."""
    check_mqtt_files(own)
    check_tls(own)
    host, port, user, password = broker_of(own)

    async def connect() -> None:
        client = aiomqtt.Client(
            host,
            port,
            username=user,
            password=password,
            identifier=f"sam-pt-live-{uuid.uuid4().hex[:10]}",  # the run's own would end its connection
            logger=quiet,
            timeout=timeout_s,
            tls_context=tls_context(own),
        )
        async with client:
            pass

    try:
        asyncio.run(connect())
    except (aiomqtt.MqttError, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""
