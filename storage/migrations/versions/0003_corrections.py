"""When a person set a mention's purpose, its sentiment or its topics."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Said as SQL, as in 0002. Empty columns at the end: neither database rewrites a row for them.
MARKS = ("purpose_corrected_at", "sentiment_corrected_at", "topics_corrected_at")

V_MENTIONS_BEFORE = """
CREATE VIEW v_mentions AS
SELECT c.name AS channel, m.external_id, m.kind, o.slug AS organization, m.published_at, m.edited_at,
       m.removed_at, m.language, m.purpose,
       (SELECT {join}(slug, ',') FROM (
            SELECT DISTINCT t.slug FROM mention_topics mt JOIN topics t ON t.id = mt.topic_id
            WHERE mt.mention_id = m.id ORDER BY t.slug) slugs) AS topics,
       m.sentiment, m.sentiment_score, m.text, m.permalink, m.parent_external_id,
       x.likes, x.replies, x.shares, x.views, mo.own,
       m.purpose_score, m.needs_review, m.positive_part, m.negative_part, m.signals_version
FROM mention_organizations mo
JOIN mentions m ON m.id = mo.mention_id
JOIN organizations o ON o.id = mo.organization_id
JOIN channels c ON c.id = m.channel_id
LEFT JOIN mention_metrics x ON x.mention_id = m.id
"""
V_MENTIONS = V_MENTIONS_BEFORE.replace(
    "m.signals_version\n",
    """m.signals_version,
       nullif(substr(
           CASE WHEN m.purpose_corrected_at IS NULL THEN '' ELSE ',purpose' END
           || CASE WHEN m.sentiment_corrected_at IS NULL THEN '' ELSE ',sentiment' END
           || CASE WHEN m.topics_corrected_at IS NULL THEN '' ELSE ',topics' END, 2), '') AS corrected
""",
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    moment = "TEXT" if is_sqlite else "TIMESTAMP WITH TIME ZONE"
    for name in MARKS:
        op.execute(f"ALTER TABLE mentions ADD COLUMN {name} {moment}")
    op.execute("DROP VIEW v_mentions")
    op.execute(V_MENTIONS.format(join="group_concat" if is_sqlite else "string_agg"))


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute("DROP VIEW v_mentions")
    for name in MARKS:
        op.execute(f"ALTER TABLE mentions DROP COLUMN {name}")
    op.execute(V_MENTIONS_BEFORE.format(join="group_concat" if is_sqlite else "string_agg"))
