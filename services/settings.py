"""Every setting of the services, read once from the environment and handed down. Opens nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from pipelines.interfaces import WrongRequest

PREFIX = "LONGTAKE_"
DEFAULT_SECRETS = {"minioadmin", "password", "postgres", "longtake", "admin", "secret", "changeme", "test", "kafka"}


def setting(default: Any, about: str, *, unit: str = "", secret: bool = False) -> Any:
    """A field whose environment variable is LONGTAKE_ and its name in capitals."""
    told = {"about": about, "unit": unit, "secret": secret}
    make: Any = default if callable(default) else lambda: default
    return field(default_factory=make, metadata=told, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a process of the services works. Nothing here changes what a film is found to hold."""

    kafka: str = setting("", "the brokers to begin with; empty: topics in this process's memory", unit="HOST:PORT,...")
    kafka_security: str = setting("PLAINTEXT", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    kafka_mechanism: str = setting("PLAIN", "of SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_user: str = setting("", "for SASL")
    kafka_password: str = setting("", "for SASL", secret=True)
    kafka_ca: str = setting("", "certificates that the brokers' are checked against; the system's where empty", unit="FILE")
    partitions: int = setting(12, "of each topic that is made: no more replicas of a stage work at once")
    replication: int = setting(1, "copies of each topic that is made; 3 where there are three brokers")
    session_s: float = setting(45.0, "without a sign of life until a replica's work goes to another", unit="seconds")

    s3: str = setting("", "the object store of films and measurements; empty: the folder", unit="URL")
    s3_access_key: str = setting("", "who asks")
    s3_secret_key: str = setting("", "and proves it", secret=True)
    s3_region: str = setting("us-east-1", "where the bucket lies")
    bucket: str = setting("longtake", "that holds films and measurements")
    prefix: str = setting("incoming/", "films put below it are analysed by themselves")
    buckets: tuple[str, ...] = setting((), "others that requests may name", unit="NAME,...")
    folder: Path = setting(lambda: Path("longtake-store"), "films (below the prefix) and measurements where there is no object store")
    roots: tuple[Path, ...] = setting((), "folders whose films requests may name as file:///...; none where empty", unit="FOLDER,...")
    database: str = setting("", "of results, as an SQLAlchemy URL; SQLite in the folder where empty", unit="URL", secret=True)
    scratch: Path = setting(
        lambda: Path(tempfile.gettempdir()) / f"longtake-{os.getuid()}",
        "for what waits between decoder and encoder, and for copies of measured blocks",
        unit="FOLDER",
    )
    cache_bytes: int = setting(8 << 30, "of those copies", unit="bytes")
    ttl_days: int = setting(30, "measurements are kept in the object store; 0: for ever", unit="days")

    slots: int = setting(0, "messages worked on at once by a replica; as many as cores where 0")
    threads: int = setting(0, "of the visual encoder; as many as slots leave where 0")
    max_attempts: int = setting(5, "at a message before it goes to the dead letters")
    patience_s: float = setting(3600.0, "for a store that does not answer before the message goes to the dead letters", unit="seconds")
    reconcile_s: float = setting(60.0, "between two listings of the bucket for films that no event told of", unit="seconds")
    providers: tuple[str, ...] = setting(("cpu",), "what the visual encoder computes on: cpu, cuda, tensorrt", unit="NAME,...")
    speech: str = setting("", "transcribe with this engine; see longtake analyze --help")
    speech_model: str = setting("", "of that engine")
    video_xl: str = setting("", "its checkpoint, for requests that want its memory and for questions", unit="FOLDER|NAME")
    device: str = setting("cpu", "that systems compute on: cpu, cuda, cuda:1 ...")
    device_bytes: int = setting(8 << 30, "of it, for memories that are being asked", unit="bytes")
    ratio: str = setting("16", "visual tokens that one summary token stands for; see longtake watch --help")
    fps: float = setting(1.0, "pictures of a film that a system looks at", unit="pictures/s")
    live_window_s: float = setting(900.0, "of a stream that is judged again and again", unit="seconds")
    local: bool = setting(False, "this machine only: well-known secrets are put up with")

    def __post_init__(self) -> None:
        told = {"kafka_password": self.kafka_password, "s3_secret_key": self.s3_secret_key, "database": _password(self.database)}
        weak = [name for name, value in told.items() if value.casefold() in DEFAULT_SECRETS]
        if weak and not self.local:
            raise WrongRequest(
                f"{', '.join(PREFIX + name.upper() for name in weak)}: a secret that everybody knows; choose another "
                f"(or {PREFIX}LOCAL=1 where nobody but this machine can reach it)"
            )
        if self.s3 and not (self.s3_access_key and self.s3_secret_key):
            raise WrongRequest(f"{PREFIX}S3 needs {PREFIX}S3_ACCESS_KEY and {PREFIX}S3_SECRET_KEY")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Raises WrongRequest for a variable that does not exist or cannot be understood."""
        given = {name: text for name, text in (environ or os.environ).items() if name.startswith(PREFIX)}
        hints = get_type_hints(cls)
        known = {PREFIX + f.name.upper(): f.name for f in fields(cls)}
        unknown = sorted(set(given) - set(known) - OTHERS)
        if unknown:
            raise WrongRequest(f"no setting is called {', '.join(unknown)}; `longtake settings` lists them")
        return cls(**{known[name]: _parsed(name, text, hints[known[name]]) for name, text in given.items() if name in known})

    def to_env(self) -> dict[str, str]:
        """The environment that `from_env` makes these settings of, secrets included."""
        return {PREFIX + f.name.upper(): _written(getattr(self, f.name)) for f in fields(self)}


OTHERS = {"LONGTAKE_DEBUG", "LONGTAKE_SPEECH_KEY", "LONGTAKE_CONFIG"}  # read where they are needed


def _parsed(name: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}[text.strip().casefold()]
        if kind in (int, float, str):
            return kind(text)
        if kind is Path:
            return Path(text).expanduser()
        inner = kind.__args__[0] if not isinstance(kind, UnionType) else str
        return tuple(inner(part.strip()) for part in text.split(",") if part.strip())
    except (KeyError, ValueError) as error:
        raise WrongRequest(f"{name}={text!r} is not {_article(kind)}") from error


def _article(kind: Any) -> str:
    return {bool: "0 or 1", int: "a whole number", float: "a number"}.get(kind, "understood")


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
