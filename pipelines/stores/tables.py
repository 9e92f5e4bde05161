"""The tables of the result store, as they are now. How older stores become so is in `services/migrations`."""

from __future__ import annotations

import sqlalchemy as sa

VERSION = "0002"  # of the last migration; a test holds the two together
OLDER_BY_TABLES = ("0001",)  # versions that lack tables and nothing else

TABLES = sa.MetaData()
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # sorted by code points, as SQLite does


def _id(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


version = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))  # Alembic's own

reports = sa.Table(
    "reports",
    TABLES,
    sa.Column("video_id", _id(64), primary_key=True),
    sa.Column("digest", sa.String(16), primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("name", WORDS, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("saved_at", sa.String(32), nullable=False),
    sa.Column("report", sa.Text, nullable=False),  # as found: corrections are laid over it when it is read
)
findings = sa.Table(
    "findings",
    TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("video_id", _id(64), nullable=False, index=True),
    sa.Column("digest", sa.String(16), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("name", WORDS, nullable=False),
    sa.Column("task", sa.String(32), nullable=False, index=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("start_s", sa.Float, nullable=False),
    sa.Column("end_s", sa.Float, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("finding", sa.Text, nullable=False),  # JSON, with its evidence
)
corrections = sa.Table(
    "corrections",
    TABLES,
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("finding_id", sa.String(32), nullable=False),
    sa.Column("video_id", _id(64), nullable=False, index=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("made_at", sa.String(32), nullable=False),
    sa.Column("words", sa.Text, nullable=False),  # JSON: finding (as found), span, label, rejected, note
)

# --- what is remembered for search ---------------------------------------------------------------------------------------------

seen = sa.Table(
    "seen",
    TABLES,
    sa.Column("video_id", _id(64), primary_key=True),
    sa.Column("encoder", sa.String(80), primary_key=True),  # empty where none has looked
    sa.Column("name", WORDS, nullable=False),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("codes", sa.LargeBinary, nullable=False),  # (n, 4) uint64, little-endian as all here
    sa.Column("classes", sa.LargeBinary, nullable=False),  # (n, 8) int16
    sa.Column("shares", sa.LargeBinary, nullable=False),  # (n, 8) float16
    sa.Column("spans", sa.LargeBinary, nullable=False),  # (n, 2) float32
)
said = sa.Table(
    "said",
    TABLES,
    sa.Column("video_id", _id(64), primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("start_s", sa.Float, nullable=False),
    sa.Column("end_s", sa.Float, nullable=False),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("folded", sa.Text, nullable=False),  # databases do not agree on what LIKE thinks of letters
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("how", sa.Text, nullable=False),
)

# --- named spots -----------------------------------------------------------------------------------------------------------------

spots = sa.Table(
    "spots",
    TABLES,
    sa.Column("id", _id(64), primary_key=True),
    sa.Column("name", WORDS, nullable=False, unique=True),
    sa.Column("advertiser", sa.Text, nullable=False),
    sa.Column("product", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("length_s", sa.Float, nullable=False),
    sa.Column("added_at", sa.String(32), nullable=False),
    sa.Column("print", sa.LargeBinary, nullable=False),
)
spot_files = sa.Table(
    "spot_files",  # where measured videos lay when they were last looked at, so that a suggestion can name one
    TABLES,
    sa.Column("video_id", _id(64), primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
)

# --- what services know of requests and messages -----------------------------------------------------------------------------------

requests = sa.Table(
    "requests",
    TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("uri", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("video_id", sa.String(64), nullable=False),
    sa.Column("changed_at", sa.String(32), nullable=False),
)
attempts = sa.Table(
    "attempts",
    TABLES,
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_at", sa.String(32), nullable=False),
    sa.Column("last_at", sa.String(32), nullable=False),
)
objects = sa.Table(
    "objects",
    TABLES,
    sa.Column("uri", WORDS, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("sequencer", WORDS, nullable=False),  # of the last event; empty where only a listing told
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("seen_at", sa.String(32), nullable=False),
)
sources = sa.Table(
    "sources",
    TABLES,
    sa.Column("uri", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("video_id", sa.String(64), nullable=False),
)
