"""Opens media files, and only files: whatever is in them or in their names, nothing else is opened. Knows PyAV's demuxers."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from pipelines.interfaces import FilmFile, OpenFilm, UnreadableVideo

# Demuxers that read one file and open no other: no playlists, no scripts, no numbered pictures, no network.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h263,h264,hevc,vvc,av1,obu,ivf,vc1,vc1test,evc,dirac,cavsvideo,"
    "flv,live_flv,kux,asf,asf_o,ogg,mxf,gxf,nut,dv,rm,wtv,dhav,nsv,pva,vivo,swf,amv,roq,bink,smk,nuv,mtv,r3d,lxf,ivr,mjpeg,smjpeg,yuv4mpegpipe,"
    "gif,apng,webp_pipe,jpeg_pipe,png_pipe,aac,ac3,eac3,aiff,amr,ape,au,caf,dts,flac,mp3,mpc,mpc8,oma,tak,truehd,tta,voc,w64,wav,wv,opus,loas,latm"
)
GENERATES_TIMES = 1  # AVFMT_FLAG_GENPTS: guesses display times from decoding times
GUESSED_RIGHT = ("mpeg1video", "mpeg2video", "mpeg4")  # one picture of delay; for H.264 in AVI the guess is wrong
REREADS = 64  # how often a demuxer may stumble over damage in a row before the rest counts as lost


@contextmanager
def opened(film: FilmFile) -> Iterator[InputContainer]:
    """The file as a container, whatever its name; no error of PyAV's gets past here.

    Raises UnreadableVideo; StoreUnavailable or FilmChanged where the film's store fails, then or later.
    """
    try:
        with _open(film) as container:
            yield from _watched(container)
    except av.FFmpegError as error:
        raise UnreadableVideo(f"{told_name(film)} {_reason(error)}") from error


def _watched(container: InputContainer) -> Iterator[InputContainer]:
    try:
        yield container
    except (av.FFmpegError, UnreadableVideo):
        _raise_trouble(container)  # it is not the film's fault
        raise
    _raise_trouble(container)


def _open(film: FilmFile) -> InputContainer:
    """FFmpeg never sees the name (an URL, a pattern of numbers, an option), and has no protocol to open a second file with."""
    try:
        if not film.is_file():
            raise UnreadableVideo(f"{told_name(film)} is {'not a regular file' if film.exists() else 'not there'}")
        if not film.stat().st_size:
            raise UnreadableVideo(f"{told_name(film)} is empty")
        return _open_path(film) if isinstance(film, Path) else _open_stored(film)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideo(f"{told_name(film)} {_reason(error)}") from error


def _open_path(path: Path) -> InputContainer:
    """By descriptor, which FFmpeg duplicates: it reads for itself."""
    with path.open("rb") as file:
        return _demuxed("fd:", {"protocol_whitelist": "fd", "fd": str(file.fileno())})


def _open_stored(film: FilmFile) -> InputContainer:
    tape = _Tape(film.open("rb"))
    try:
        container = _demuxed(tape, {"protocol_whitelist": "none"})
    except av.FFmpegError:
        tape.raise_trouble()
        raise
    tape.raise_trouble()
    return container


def _demuxed(file: str | _Tape, options: dict[str, str]) -> InputContainer:
    return av.open(file, mode="r", metadata_errors="replace", container_options={"format_whitelist": FORMATS} | options)


class _Tape:
    """A film that FFmpeg reads through Python. Where reading fails it ends here, and the reason is kept for the border.

    FFmpeg takes most errors of reading for the end of the file: a film whose store went away would look as if it were cut off.
    """

    name = "film"  # what FFmpeg is told; it says nothing of the format

    def __init__(self, film: OpenFilm) -> None:
        self._film = film
        self.trouble: Exception | None = None
        self.tell, self.close = film.tell, film.close

    def read(self, size: int) -> bytes:
        if self.trouble is None:
            try:
                return self._film.read(size)
            except Exception as error:
                self.trouble = error
        return b""

    def seek(self, offset: int, whence: int) -> int:
        try:
            return self._film.seek(offset, whence)
        except ValueError:
            return -errno.EINVAL  # as the system's own would answer a place before the beginning

    def raise_trouble(self) -> None:
        if self.trouble is not None:
            raise self.trouble


def _raise_trouble(container: InputContainer) -> None:
    if container.file is not None:  # None: FFmpeg reads for itself
        container.file.file.raise_trouble()


def told_name(film: FilmFile) -> str:
    """The file's name as one line of legible text, whatever bytes it is made of."""
    return film.name if film.name.isprintable() else film.name.encode("unicode_escape", errors="backslashreplace").decode()


def _reason(error: Exception) -> str:
    match error:
        case av.error.PermissionError() | PermissionError():
            return "may not be read: permission denied"
        case av.error.InvalidDataError():
            return "is not a video, or it is damaged or cut off before anything can be read (no header or table of contents was found)"
        case av.error.DecoderNotFoundError():
            return "is in a video format for which there is no decoder"
        case av.error.MemoryError() | MemoryError():
            return "asks for more memory than a video may have"
        case av.error.ArgumentError():
            return "is of a kind that is not opened (a playlist, a list of pictures or an unknown format)"
        case _:
            return f"cannot be read as media: {getattr(error, 'strerror', None) or error}"


def video_stream(container: InputContainer) -> VideoStream | None:
    """The stream a player would show; cover pictures are none."""
    films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    stream = best if best in films else (films[0] if films else None)
    if stream is None:
        return None
    if stream.codec_context is None:
        raise av.error.DecoderNotFoundError(0, "no decoder")
    stream.codec_context.thread_count = 1  # a second thread would make the result depend on luck, not on the bytes, where they are broken
    if stream.codec_context.name not in GUESSED_RIGHT:
        container.flags &= ~GENERATES_TIMES
    return stream


def origin_s(container: InputContainer) -> Fraction:
    """Where the player's clock starts on the container's own axis."""
    return Fraction(container.start_time or 0, av.time_base)


def packets(container: InputContainer, streams: Iterable[Any]) -> Iterator[Packet[Any]]:
    """Packets of these streams to the end, past damage where the demuxer finds its feet again."""
    wanted = tuple(streams)
    for stream in container.streams:
        if stream not in wanted:
            stream.discard = Discard.all
    stumbles = 0
    while stumbles < REREADS:
        try:
            for packet in container.demux(*wanted):
                if packet.size:
                    _raise_trouble(container)
                    stumbles = 0
                    yield packet
            _raise_trouble(container)
            return
        except av.FFmpegError:
            _raise_trouble(container)
            stumbles += 1


def decoded(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[av.VideoFrame]:
    """Pictures that come out when this packet goes in (None: the last ones). Damage gives none."""
    try:
        return stream.codec_context.decode(packet)
    except av.FFmpegError:
        return []
