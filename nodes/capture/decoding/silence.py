"""How long each packet was waited for in, whether the stream has gone silent out.

A read that takes longer than the timeout gives the packet that FFmpeg's parser still holds, if it holds one; only the
next read fails. The parser ends a packet where the next one begins, so what it holds began to come when the packet
before was given. After such a read nothing has come for the whole timeout, and the next one need not be waited for.
"""

from __future__ import annotations

AT_ONCE_S = 0.005  # a packet that comes sooner may be one that FFmpeg has read while it analysed the stream


class SilenceDetector:
    """Watches the reads of one connection; it holds no clock."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._parser_holds = False  # the beginning of the next packet, since the last one was given

    def after_packet(self, waited_s: float) -> bool:
        """Take note of a read that gave a packet; whether nothing has come for `timeout_s`."""
        timed_out = waited_s >= self.timeout_s
        silent = timed_out and self._parser_holds
        if timed_out:
            self._parser_holds = False
        elif waited_s > AT_ONCE_S:
            self._parser_holds = True
        return silent
