"""Opens what requests name: objects of allowed buckets, files below allowed folders, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.interfaces import Blobs, FilmChanged, FilmFile, UnreadableVideo, WrongRequest
from pipelines.stores.folder import FolderBlobs


@dataclass(frozen=True, slots=True)
class Sources:
    """buckets: those that may be named; bucket: opens one of them; roots: folders whose files may be named."""

    buckets: tuple[str, ...] = ()
    bucket: Callable[[str], Blobs] | None = None
    roots: tuple[Path, ...] = ()

    def open(self, uri: str, version: str = "") -> FilmFile:
        """Raises WrongRequest where it may not be named, UnreadableVideo where nothing is there; where a version was asked for,
        FilmChanged for anything but that."""
        parts = urlsplit(uri)
        if parts.scheme == "file":
            return self._file(unquote(parts.path), version)
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if self.bucket is None or bucket not in self.buckets:
            raise WrongRequest(f"the bucket {bucket!r} is not among those that requests may name ({', '.join(self.buckets) or 'none'})")
        return _opened(self.bucket(bucket), key, f"the object {uri}", version)

    def _file(self, named: str, version: str) -> FilmFile:
        try:
            path, resolved = Path(named), Path(named).resolve()
        except (ValueError, OSError) as error:  # a byte of zeros, a link that leads to itself
            raise WrongRequest(f"{named!r} is not the path of a file: {error}") from error
        root = next((root for root in map(Path.resolve, self.roots) if resolved.is_relative_to(root)), None)
        if root is None:
            raise WrongRequest(f"{path} does not lie in a folder whose films requests may name; LONGTAKE_ROOTS lists them")
        return _opened(FolderBlobs(root), resolved.relative_to(root).as_posix(), path.name, version)


def _opened(blobs: Blobs, key: str, told: str, version: str) -> FilmFile:
    try:
        if version and (now := blobs.stat(key).version) != version:
            raise FilmChanged(f"{told} was replaced: it is {now} by now, not {version}")
        return blobs.open(key)
    except KeyError:
        if version:
            raise FilmChanged(f"{told} was deleted") from None
        raise UnreadableVideo(f"{told} is not there; was it deleted?") from None
    except ValueError as error:
        raise WrongRequest(str(error)) from error
