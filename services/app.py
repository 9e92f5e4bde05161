"""Builds what settings name: the one place that knows adapters from interfaces."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pipelines.interfaces import Blobs
from pipelines.stores.folder import FolderBlobs
from pipelines.stores.ledger import Ledger
from pipelines.stores.requests import RequestBook
from pipelines.watching import Store
from services.dead_letters import DEAD_LETTERS
from services.ingest.bucket import Bucket, Ingest
from services.models import open_encoder, open_senses
from services.opening import open_results
from services.settings import Settings
from services.sources import Sources
from services.stages import (
    FEATURES,
    FINDINGS,
    MEMORIES,
    OBJECTS,
    PICTURES,
    REQUESTS,
    SEGMENTS,
    STAGES,
    STREAM_STATUS,
    STREAMS,
    Parts,
    note_death,
    stage_named,
)
from services.topics.base import Topics
from services.topics.memory import MemoryTopics
from services.transcription import with_ears
from services.worker import Rules, Stage, Worker

if TYPE_CHECKING:
    from services.blobs.minio import MinioBlobs

logger = logging.getLogger(__name__)
LARGE = {STREAMS: 4 << 20, DEAD_LETTERS: 5 << 20}  # bytes of a value, where it is media
MEASURED = "measured/"  # where measurements lie in the bucket
EVENT_S = 15.0  # an object's own event has come by then; listed earlier, it would be asked for twice
SETTLED_S = 2.0  # a file that was written to less long ago may still be growing
TOPICS = (REQUESTS, OBJECTS, STREAMS, SEGMENTS, PICTURES, FEATURES, MEMORIES, FINDINGS, STREAM_STATUS, DEAD_LETTERS)


def open_topics(settings: Settings) -> Topics:
    """The broker that the settings name, with all topics; the one in memory where they name none."""
    topics: Topics
    if settings.kafka:
        from services.topics.kafka import KafkaTopics
        from services.topics.kafka_options import Security, Waits

        security = Security(
            protocol=settings.kafka_security, ca_file=settings.kafka_ca, mechanism=settings.kafka_mechanism if settings.kafka_user else "",
            user=settings.kafka_user, password=settings.kafka_password,
        )  # fmt: skip
        topics = KafkaTopics(settings.kafka, security, Waits(session_s=settings.session_s), LARGE, settings.replication)
    else:
        topics = MemoryTopics(largest=LARGE)
    topics.ensure(dict.fromkeys(TOPICS, settings.partitions))
    return topics


def open_bucket(settings: Settings, bucket: str, prefix: str = "") -> MinioBlobs:
    from services.blobs.minio import MinioBlobs

    return MinioBlobs(
        settings.s3, bucket, prefix, access_key=settings.s3_access_key, secret_key=settings.s3_secret_key, region=settings.s3_region
    )


def open_films(settings: Settings) -> Blobs:
    """Where films are dropped, by their keys in the bucket or folder."""
    return open_bucket(settings, settings.bucket) if settings.s3 else FolderBlobs(settings.folder.resolve())


def open_bucket_of_films(settings: Settings) -> Bucket:
    """Where films are dropped."""
    films = open_films(settings)
    if settings.s3:
        return Bucket(films, settings.prefix, lambda key: f"s3://{settings.bucket}/{key}", settings.bucket, EVENT_S)
    folder = settings.folder.resolve()
    (folder / settings.prefix).mkdir(parents=True, exist_ok=True)
    return Bucket(films, settings.prefix, lambda key: (folder / key).as_uri(), settled_s=SETTLED_S)


def open_measured(settings: Settings) -> Blobs:
    """Where measurements lie: in the object store with copies on this machine's disk, or in the folder."""
    if not settings.s3:
        return FolderBlobs(settings.folder.resolve() / "measured")
    from pipelines.stores.cached import CachedBlobs

    far = open_bucket(settings, settings.bucket, MEASURED)
    return CachedBlobs(FolderBlobs(settings.scratch / "copies"), far, settings.cache_bytes)


def open_sources(settings: Settings) -> Sources:
    buckets = (settings.bucket, *settings.buckets) if settings.s3 else ()
    roots = settings.roots if settings.s3 else (*settings.roots, settings.folder / settings.prefix)
    return Sources(buckets, lambda bucket: open_bucket(settings, bucket), roots)


def open_database(settings: Settings) -> str:
    return settings.database or f"sqlite:///{settings.folder.resolve()}/findings.db"


def open_parts(settings: Settings) -> Parts:
    """All that stages work with, models included."""
    slots = slots_of(settings)
    senses = with_ears(open_senses(settings.providers), settings.speech, settings.speech_model)
    if senses.encoder is not None:
        senses = replace(senses, encoder=open_encoder(settings.providers, settings.threads or max(1, (os.cpu_count() or 1) // slots)))
    results = open_results(open_database(settings))
    store = Store(open_measured(settings), results)
    waiting = FolderBlobs(settings.scratch / "waiting")
    return Parts(store, senses, open_sources(settings), Ledger(results), RequestBook(results), waiting)


def slots_of(settings: Settings) -> int:
    return settings.slots or os.cpu_count() or 1


def open_stage(name: str, settings: Settings, parts: Parts, beside: Sequence[str]) -> Stage:
    if name == "ingest":
        return Ingest(open_bucket_of_films(settings), parts.ledger)
    if name == "live":
        from pipelines.live.panel import LiveSettings
        from services.ingest.live import Live

        return Live(parts.store, parts.senses, LiveSettings(window_s=settings.live_window_s))
    if name == "watch" and settings.video_xl:
        from services.memories import open_memories

        return stage_named(name, parts, beside, open_memories(settings, parts.store.blobs).watch)
    return stage_named(name, parts, beside)


def open_worker(settings: Settings, names: Iterable[str], topics: Topics, parts: Parts | None = None) -> Worker:
    """A worker for these stages."""
    wanted = sorted(names, key=STAGES.index, reverse=True)
    parts = replace(parts or open_parts(settings), partitions=topics.partitions(SEGMENTS))  # it may have been made by other settings
    stages = [open_stage(name, settings, parts, wanted) for name in wanted]
    rules = Rules(slots_of(settings), settings.max_attempts, settings.patience_s)
    return Worker(stages, topics, parts.ledger, rules, on_death=partial(note_death, parts))
