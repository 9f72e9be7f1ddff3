"""What is due and whose turn it is, and what a platform's day has cost: shared by all workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
AMOUNTS = ("requests", "quota_units", "searches", "posts_read", "cost_microusd")


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("name", WORDS, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("planned_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_turns")),
    )
    op.create_table(
        "spending",
        sa.Column("channel_id", KEY, nullable=False),
        sa.Column("day_began", MOMENT, nullable=False),
        sa.Column("job", WORDS, nullable=False),
        sa.Column("holder", WORDS, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in AMOUNTS),
        sa.CheckConstraint("job IN ('ingest', 'refresh')", name=op.f("ck_spending_job")),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name=op.f("fk_spending_channel_id")),
        sa.PrimaryKeyConstraint("channel_id", "day_began", "job", "holder", name=op.f("pk_spending")),
    )


def downgrade() -> None:
    op.drop_table("spending")
    op.drop_table("turns")
