"""Where decoding may begin, told from the bytes of key pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from pipelines.bitstream import is_clean_start, is_shown, nal_units

IDR, SLICE, SEI = b"\x65abc", b"\x41abc", b"\x06"
NOW, LATER = SEI + b"\x06\x01\xc4\x80", SEI + b"\x06\x01\x24\x80"  # recovery_frame_cnt 0 and 3
AVCC = b"\x01\x64\x00\x0a\xff"  # lengths of four bytes


def framed(*units: bytes) -> bytes:
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units)


def measured(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


@pytest.mark.parametrize(
    ("units", "clean"),
    [
        ([IDR], True),
        ([SLICE], False),
        ([NOW, SLICE], True),
        ([LATER, SLICE], False),
        ([SEI + b"\x05\x02xx\x06\x01\xc4\x80", SLICE], True),
        ([], False),
    ],
)
def test_h264_starts_at_idr_or_where_it_recovers_at_once(units: list[bytes], clean: bool) -> None:
    assert is_clean_start("h264", None, framed(*units)) is clean
    assert is_clean_start("h264", AVCC, measured(*units)) is clean


def test_broken_lengths_end_quietly() -> None:
    assert list(nal_units(b"\xff\xff\xff\xff\x65abc", 4)) == [b"\x65abc"]
    assert list(nal_units(b"\x00\x00", 4)) == []
    assert not is_clean_start("h264", None, framed(SEI + b"\xff\xff\xff"))


def test_vp8_hides_pictures_that_only_others_need() -> None:
    assert [is_shown("vp8", byte) for byte in (0x10, 0x11, 0x00)] == [True, True, False]
    assert is_shown("vp9", 0x00)


@pytest.mark.parametrize(
    ("name", "codec"), [("open.mp4", "h264"), ("open.ts", "h264"), ("hevc_open.mp4", "hevc"), ("hevc_closed.mkv", "hevc")]
)
def test_encoders_key_pictures_are_clean(film: Callable[[str], Path], name: str, codec: str) -> None:
    with av.open(str(film(name))) as container:
        extradata = container.streams.video[0].codec_context.extradata
        told = [(p.is_keyframe, is_clean_start(codec, extradata, bytes(p))) for p in container.demux(video=0) if p.size]
    assert sum(key for key, _ in told) == 4
    assert all(key == clean for key, clean in told)
