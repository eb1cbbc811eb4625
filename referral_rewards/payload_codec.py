"""Seals what Temporal keeps of our runs (AES-GCM), by keys that have names, several of them while one is replaced.

The first key seals; every key opens. Without keys, or with none in the first place, nothing is sealed. What was kept
before, in clear, is read as it is.
What no key of ours opens is passed on as it is and logged: a signal with it is dropped, which loses nothing, and a step
that needs it is tried again until the key is there.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

_log = structlog.get_logger("payloads")

#: As Temporal's own examples mark what is sealed; nothing but a codec reads it.
SEALED: Final = b"binary/encrypted"
_KEY_NAME: Final = "encryption-key-id"
_NONCE_BYTES: Final = 12


class Codec(PayloadCodec):
    """Seals and opens payloads; ``keys`` have 32 bytes each, by name, the one that seals first. None in the first
    place seals nothing: so sealing begins, and ends, while processes change one after the other."""

    def __init__(self, keys: Mapping[str, bytes | None]) -> None:
        self._keys = {name: AESGCM(key) for name, key in keys.items() if key is not None}
        first = next(iter(keys), None)
        self._newest = first if first in self._keys else None

    @property
    def seals(self) -> bool:
        """Whether anything is sealed from now on."""
        return self._newest is not None

    @property
    def has_keys(self) -> bool:
        """Whether anything that is sealed can be opened."""
        return bool(self._keys)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return each payload sealed, whole with its metadata."""
        return [self._sealed(each) for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return each payload as it was; one in clear, or that no key opens, as it is."""
        return [self._opened(each) if _is_sealed(each) else each for each in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        if self._newest is None:
            return payload
        nonce, name = os.urandom(_NONCE_BYTES), self._newest.encode()
        data = nonce + self._keys[self._newest].encrypt(nonce, payload.SerializeToString(), name)
        return Payload(metadata={"encoding": SEALED, _KEY_NAME: name}, data=data)

    def _opened(self, payload: Payload) -> Payload:
        name = payload.metadata[_KEY_NAME]
        key = self._keys.get(name.decode(errors="replace"))
        if key is None:
            return _unreadable(payload, "no such key")
        try:
            whole = key.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], name)
        except (InvalidTag, ValueError):
            return _unreadable(payload, "not sealed by it")
        return Payload.FromString(whole)


def converter(codec: Codec) -> DataConverter:
    """Return how every client and worker of ours writes and reads what Temporal keeps, texts of failures included."""
    if not codec.seals:
        return replace(pydantic_data_converter, payload_codec=codec)
    failures = DefaultFailureConverterWithEncodedAttributes
    return replace(pydantic_data_converter, payload_codec=codec, failure_converter_class=failures)


def key_name(payload: Payload) -> str | None:
    """Return the name of the key that sealed a payload; None if it is in clear."""
    return payload.metadata[_KEY_NAME].decode(errors="replace") if _is_sealed(payload) else None


def _is_sealed(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == SEALED


def _unreadable(payload: Payload, why: str) -> Payload:
    _log.error("payload_unreadable", key=key_name(payload), why=why)
    return payload
