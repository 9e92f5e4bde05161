"""Reads just enough of H.264 and HEVC packets to know where decoding may begin. Decodes nothing."""

from __future__ import annotations

from collections.abc import Iterator

H264_SLICES, H264_IDR, H264_SEI = (1, 2, 5), 5, 6
RECOVERY_POINT = 6
HEVC_RANDOM_ACCESS = range(16, 24)  # BLA, IDR and CRA pictures


def is_clean_start(codec: str, extradata: bytes | None, packet: bytes) -> bool:
    """Whether every picture shown at or after this key picture comes out right when decoding begins with it.

    A key flag alone does not promise that: streams that refresh bit by bit (intra refresh) carry it at the start of each wave.
    """
    if codec == "h264":
        return _h264_is_clean(nal_units(packet, _length_bytes(extradata, 4)))
    if codec == "hevc":
        return any((nal[0] >> 1 & 0x3F) in HEVC_RANDOM_ACCESS for nal in nal_units(packet, _length_bytes(extradata, 21)))
    return True


def is_shown(codec: str, first_byte: int) -> bool:
    """False for pictures that only others refer to. VP8 packs them alone; the other codecs pack them with one that is shown."""
    return codec != "vp8" or bool(first_byte & 0x10)


def nal_units(packet: bytes, length_bytes: int) -> Iterator[bytes]:
    """The stream's units without their framing: length-prefixed (MP4, MKV) or, with length_bytes 0, after start codes (TS, raw)."""
    if length_bytes:
        at = 0
        while at + length_bytes < len(packet):
            size = int.from_bytes(packet[at : at + length_bytes], "big")
            at += length_bytes
            if nal := packet[at : at + size]:
                yield nal
            at += size
        return
    yield from (unit for unit in packet.split(b"\x00\x00\x01")[1:] if unit)


def _length_bytes(extradata: bytes | None, at: int) -> int:
    """Bytes of a unit's length, told in the avcC / hvcC header; 0 for start codes."""
    if extradata and len(extradata) > at and extradata[0] == 1:
        return (extradata[at] & 3) + 1
    return 0


def _h264_is_clean(units: Iterator[bytes]) -> bool:
    for nal in units:
        kind = nal[0] & 0x1F
        if kind == H264_SEI and _recovers_at_once(nal[1:].replace(b"\x00\x00\x03", b"\x00\x00")):
            return True
        if kind in H264_SLICES:
            return kind == H264_IDR
    return False


def _recovers_at_once(sei: bytes) -> bool:
    """Whether a recovery point message stands here that says: from this picture on, not some frames later."""
    at = 0
    while at + 2 < len(sei):
        kind, at = _sei_number(sei, at)
        size, at = _sei_number(sei, at)
        if kind == RECOVERY_POINT and at < len(sei):
            return bool(sei[at] & 0x80)  # recovery_frame_cnt as Exp-Golomb: a leading 1 is zero
        at += size
    return False


def _sei_number(sei: bytes, at: int) -> tuple[int, int]:
    value = 0
    while at < len(sei) and sei[at] == 0xFF:
        value, at = value + 255, at + 1
    return (value + sei[at], at + 1) if at < len(sei) else (value, at)
