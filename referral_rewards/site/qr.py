"""Draws an address as a QR code."""

import io
from functools import lru_cache

import segno


@lru_cache(maxsize=256)
def drawn(address: str) -> bytes:
    """Return the picture as SVG, black on white with the quiet zone around it that cameras need."""
    picture = io.BytesIO()
    segno.make(address, error="m", micro=False).save(picture, kind="svg", scale=6, border=4, light="#ffffff")
    return picture.getvalue()
