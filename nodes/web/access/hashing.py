"""Secrets of full entropy in, what stands for them out: nothing that is written down or looked at opens a door."""

from __future__ import annotations

import hashlib


def digest(secret: str) -> str:
    """The hash of a secret; it needs no salt, because nobody can guess the secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
