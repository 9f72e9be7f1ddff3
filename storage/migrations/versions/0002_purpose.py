"""Purposes with their certainty, what waits for review, both sides of a sentiment, and who heard it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

# Said as SQL: Alembic would copy the table on SQLite, which refuses to drop one that others point at.
NEW_COLUMNS = {
    "purpose_score": "FLOAT CONSTRAINT ck_mentions_purpose_score CHECK (purpose_score BETWEEN 0 AND 1)",
    "needs_review": "BOOLEAN NOT NULL DEFAULT {no}",
    "positive_part": "FLOAT",
    "negative_part": "FLOAT",
    "signals_version": "{words}",
}

V_MENTIONS_BEFORE = """
CREATE VIEW v_mentions AS
SELECT c.name AS channel, m.external_id, m.kind, o.slug AS organization, m.published_at, m.edited_at,
       m.removed_at, m.language, m.purpose,
       (SELECT {join}(slug, ',') FROM (
            SELECT DISTINCT t.slug FROM mention_topics mt JOIN topics t ON t.id = mt.topic_id
            WHERE mt.mention_id = m.id ORDER BY t.slug) slugs) AS topics,
       m.sentiment, m.sentiment_score, m.text, m.permalink, m.parent_external_id,
       x.likes, x.replies, x.shares, x.views, mo.own
FROM mention_organizations mo
JOIN mentions m ON m.id = mo.mention_id
JOIN organizations o ON o.id = mo.organization_id
JOIN channels c ON c.id = m.channel_id
LEFT JOIN mention_metrics x ON x.mention_id = m.id
"""
V_MENTIONS = V_MENTIONS_BEFORE.replace(
    "mo.own\n",
    "mo.own,\n       m.purpose_score, m.needs_review, m.positive_part, m.negative_part, m.signals_version\n",
)

EVERY_DAY_IS_DIRTY = """
INSERT INTO dirty_days (organization_id, day)
SELECT organization_id, day FROM mention_organizations UNION SELECT organization_id, day FROM daily_volume
"""

PSEUDO_TOPICS = {
    "(care)": ("Experiences and questions", "Mentions that tell or ask something of care."),
    "(other purposes)": ("For other purposes", "Mentions that are for something else; no topic counts them."),
    "(to review)": ("Waiting for review", "Mentions of uncertain purpose; no topic counts them until then."),
}


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    no, words = ("0", "TEXT") if is_sqlite else ("false", 'TEXT COLLATE "C"')
    for name, column in NEW_COLUMNS.items():
        op.execute(f"ALTER TABLE mentions ADD COLUMN {name} {column.format(no=no, words=words)}")
    op.execute("DROP VIEW v_mentions")
    op.execute(V_MENTIONS.format(join="group_concat" if is_sqlite else "string_agg"))
    op.create_table(
        "signal_changes",
        sa.Column("id", KEY, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("since_day", sa.Integer(), nullable=True),
        sa.Column("from_version", WORDS, nullable=True),
        sa.Column("to_version", WORDS, nullable=False),
        sa.Column("mentions", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_changes")),
    )
    op.bulk_insert(
        sa.table(
            "topics", *(sa.column(n) for n in ("slug", "name", "group_name", "definition", "taxonomy_version"))
        ),
        [
            {"slug": slug, "name": name, "group_name": "", "definition": definition, "taxonomy_version": ""}
            for slug, (name, definition) in PSEUDO_TOPICS.items()
        ],
    )
    # The new rows come into being with the next rollup.
    op.execute(EVERY_DAY_IS_DIRTY)


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    pseudo = "(SELECT id FROM topics WHERE slug IN ('(care)', '(other purposes)', '(to review)'))"
    # What the first schema leaves out of its topics is counted in them again.
    op.execute(EVERY_DAY_IS_DIRTY)
    for table in ("daily_volume", "weekly_volume"):
        op.execute(f"DELETE FROM {table} WHERE topic_id IN {pseudo}")  # noqa: S608 - names of the schema
    op.execute("DELETE FROM topics WHERE slug IN ('(care)', '(other purposes)', '(to review)')")
    op.drop_table("signal_changes")
    op.execute("DROP VIEW v_mentions")
    for name in NEW_COLUMNS:
        op.execute(f"ALTER TABLE mentions DROP COLUMN {name}")
    op.execute(V_MENTIONS_BEFORE.format(join="group_concat" if is_sqlite else "string_agg"))
