"""What all organizations have together, by day and by week; and when PostgreSQL tidies up the big tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COUNTS = ("mentions", "negative", "neutral", "positive", "unscored", "engagement")
DAILY = "The sums of `daily_volume` over the organizations; a mention of two of them counts twice."
WEEKLY = (
    "The sums of `weekly_volume` over the organizations, the authors' too: who wrote about two of them is "
    "two authors here."
)
TOTALS = {"daily": ("day", COUNTS, DAILY), "weekly": ("week", (*COUNTS, "authors"), WEEKLY)}

# Decision 26 says why. By PostgreSQL's own settings a fifth of a table is dead before it is vacuumed.
GROWING = {
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
}
RECOUNTED = {"autovacuum_vacuum_scale_factor": "0.05", "autovacuum_analyze_scale_factor": "0.05"}
QUEUE = {"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "1000"}
STORAGE = {
    "mentions": {**GROWING, "fillfactor": "85"},
    **dict.fromkeys(("mention_organizations", "mention_topics", "mention_metrics", "mention_words"), GROWING),
    **dict.fromkeys(("daily_volume", "weekly_volume", "daily_totals", "weekly_totals"), RECOUNTED),
    **dict.fromkeys(("dirty_days", "dirty_totals"), QUEUE),
}


def upgrade() -> None:
    op.create_index(op.f("ix_daily_volume_day"), "daily_volume", ["day"])
    op.create_index(op.f("ix_weekly_volume_week"), "weekly_volume", ["week"])
    for name, (period, counts, comment) in TOTALS.items():
        totals = f"{name}_totals"
        op.create_table(
            totals,
            sa.Column(period, sa.Integer(), autoincrement=False, nullable=False),
            sa.Column("channel_id", KEY, nullable=False),
            sa.Column("topic_id", KEY, nullable=False),
            *(sa.Column(count, sa.BigInteger(), nullable=False) for count in counts),
            sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name=op.f(f"fk_{totals}_channel_id")),
            sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name=op.f(f"fk_{totals}_topic_id")),
            sa.PrimaryKeyConstraint(period, "channel_id", "topic_id", name=op.f(f"pk_{totals}")),
            comment=comment,
        )
        keys, sums = f"{period}, channel_id, topic_id", ", ".join(f"sum({count})" for count in counts)
        # What is there is summed at once: a summary that is asked for before the next rollup is whole.
        op.execute(
            f"INSERT INTO {totals} ({keys}, {', '.join(counts)}) "  # noqa: S608 - names of the schema
            f"SELECT {keys}, {sums} FROM {name}_volume GROUP BY {keys}"
        )
    op.create_table(
        "dirty_totals",
        sa.Column("id", KEY, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dirty_totals")),
        comment="Days that were counted anew, and whose totals, and those of their weeks, are to be summed anew.",
    )
    op.create_index(op.f("ix_dirty_totals_day"), "dirty_totals", ["day"])
    if op.get_bind().dialect.name != "sqlite":
        for table, parameters in STORAGE.items():
            said = ", ".join(f"{name} = {value}" for name, value in parameters.items())
            for holder in _holders(table):
                op.execute(f"ALTER TABLE {holder} SET ({said})")


def downgrade() -> None:
    for table in ("dirty_totals", "weekly_totals", "daily_totals"):
        op.drop_table(table)
    op.drop_index(op.f("ix_weekly_volume_week"), "weekly_volume")
    op.drop_index(op.f("ix_daily_volume_day"), "daily_volume")
    if op.get_bind().dialect.name != "sqlite":
        for table, parameters in STORAGE.items():
            if not table.endswith("_totals"):
                for holder in _holders(table):
                    op.execute(f"ALTER TABLE {holder} RESET ({', '.join(parameters)})")


def _holders(table: str) -> list[str]:
    """Return what holds the rows: the table, or its partitions, for a partitioned table takes no parameters."""
    parts = sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table)")
    return list(op.get_bind().execute(parts, {"table": table}).scalars()) or [table]
