"""Anything, and what is nearly valid, into whatever parses input from outside: no crash, no hang."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config.redaction import is_mistyped_url, redact, redact_value
from tests.fuzz.targets import SEEDS, TARGETS

TRIALS = {"manifest": 60, "confusion": 60}
"""Examples of targets that write files; of the others as many as Hypothesis takes."""


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with a few of its places overwritten, cut out or repeated."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 8)))
        piece = bytes(data[begin:end])
        data[begin:end] = draw(st.sampled_from([b"", piece * 2, b"\0", b"\xff"]) | st.binary(max_size=6))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_anything_is_read_or_refused(name: str) -> None:
    @settings(max_examples=TRIALS.get(name, 150))
    @given(data=mutated(SEEDS[name]) | st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
    def trial(data: bytes) -> None:
        TARGETS[name](data)

    trial()


DEEP = 100_000
HOSTILE = [
    b"[" * DEEP, b'{"a":' * DEEP, b"a=" + b"[" * DEEP, b"a." * DEEP + b"a=1", b"9" * DEEP,
    b'{"a":' + b"9" * DEEP, b"://" * DEEP, b"a:" * DEEP, b"://a" * DEEP + b" @", b"rtsp:" * DEEP, b"@" * DEEP,
    b"rtsp://" + b"@" * DEEP, b"rtsp://" + b"[" * DEEP, b'"' + b"\\u0000" * DEEP, b"\xff" * DEEP,
    b"\n" * DEEP, b"#" * DEEP,
]  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_hangs(name: str) -> None:
    """What grows with the square of its input would take minutes on the largest of these."""
    begun = time.process_time()
    for data in HOSTILE:
        TARGETS[name](data)
    assert time.process_time() - begun < 60


def test_masking_takes_as_long_as_its_text_is() -> None:
    """Half a megabyte of beginnings of URLs took minutes when each was searched to the end of the text."""
    begun = time.process_time()
    for text in ("://" * DEEP, "://a" * DEEP, "a:" * DEEP, "rtsp:" * DEEP):
        assert redact(text) == text
        redact_value(text)
        is_mistyped_url(text)
    assert time.process_time() - begun < 20
