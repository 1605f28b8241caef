"""Bytes of a text file to text: UTF-8, with or without the byte order mark that some editors write first."""

from __future__ import annotations

import codecs

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_of(content: bytes) -> str:
    """The text, without a byte order mark. Raises ValueError that says what the file is instead of UTF-8."""
    if content.startswith(_UTF_16) or b"\0" in content[:2]:  # without a mark every other byte of ASCII is 0
        raise ValueError("is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text: {error.reason} at byte {error.start}") from None
