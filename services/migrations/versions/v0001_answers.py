"""Reports, findings, corrections, what search remembers, and spots: the tables of stores that had no version.

Those stores made some of their tables when they were first used: what is there stays, what is missing is made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    c_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    c_id = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
    op.create_table(
        "reports",
        sa.Column("video_id", c_id, primary_key=True),
        sa.Column("digest", sa.String(16), primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", c_text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("saved_at", sa.String(32), nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "findings",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("video_id", c_id, nullable=False),
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", c_text, nullable=False),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("start_s", sa.Float, nullable=False),
        sa.Column("end_s", sa.Float, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("finding", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_findings_video_id", "findings", ["video_id"], if_not_exists=True)
    op.create_index("ix_findings_task", "findings", ["task"], if_not_exists=True)
    op.create_table(
        "corrections",
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("finding_id", sa.String(32), nullable=False),
        sa.Column("video_id", c_id, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("made_at", sa.String(32), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_corrections_video_id", "corrections", ["video_id"], if_not_exists=True)
    op.create_table(
        "seen",
        sa.Column("video_id", c_id, primary_key=True),
        sa.Column("encoder", sa.String(80), primary_key=True),
        sa.Column("name", c_text, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("codes", sa.LargeBinary, nullable=False),
        sa.Column("classes", sa.LargeBinary, nullable=False),
        sa.Column("shares", sa.LargeBinary, nullable=False),
        sa.Column("spans", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "said",
        sa.Column("video_id", c_id, primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("start_s", sa.Float, nullable=False),
        sa.Column("end_s", sa.Float, nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("how", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "spots",
        sa.Column("id", c_id, primary_key=True),
        sa.Column("name", c_text, nullable=False, unique=True),
        sa.Column("advertiser", sa.Text, nullable=False),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("length_s", sa.Float, nullable=False),
        sa.Column("added_at", sa.String(32), nullable=False),
        sa.Column("print", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "spot_files",
        sa.Column("video_id", c_id, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        if_not_exists=True,
    )
