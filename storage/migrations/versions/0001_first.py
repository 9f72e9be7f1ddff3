"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")

# One row a mention and organization. The topics stand in order; SQLite aggregates a sorted subquery in its order.
V_MENTIONS = """
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

# Channel "all" is the sum of the channels: an author of two channels is two authors, nobody can tell.
V_WEEKLY_VOLUME = """
CREATE VIEW v_weekly_volume AS
SELECT o.slug AS organization, k.iso_week, k.week_start, k.week_end, v.channel, t.slug AS topic,
       v.mentions, v.authors, v.negative, v.neutral, v.positive, v.unscored, v.engagement
FROM (
    SELECT w.organization_id, w.week, c.name AS channel, w.topic_id, w.mentions, w.authors, w.negative,
           w.neutral, w.positive, w.unscored, w.engagement
    FROM weekly_volume w JOIN channels c ON c.id = w.channel_id
    UNION ALL
    SELECT organization_id, week, 'all', topic_id, sum(mentions), sum(authors), sum(negative), sum(neutral),
           sum(positive), sum(unscored), CAST(sum(engagement) AS BIGINT)
    FROM weekly_volume GROUP BY organization_id, week, topic_id
) v
JOIN organizations o ON o.id = v.organization_id
JOIN topics t ON t.id = v.topic_id
JOIN weeks k ON k.week = v.week
"""


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("name", name=op.f("uq_channels_name")),
    )
    op.create_table(
        "leases",
        sa.Column("name", WORDS, nullable=False),
        sa.Column("owner", WORDS, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "organizations",
        sa.Column("id", KEY, nullable=False),
        sa.Column("slug", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("timezone", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.UniqueConstraint("slug", name=op.f("uq_organizations_slug")),
    )
    op.create_table(
        "topics",
        sa.Column("id", KEY, nullable=False),
        sa.Column("slug", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("group_name", WORDS, nullable=False),
        sa.Column("definition", WORDS, nullable=False),
        sa.Column("taxonomy_version", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics")),
        sa.UniqueConstraint("slug", name=op.f("uq_topics_slug")),
    )
    op.create_table(
        "weeks",
        sa.Column("week", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("iso_week", WORDS, nullable=False),
        sa.Column("week_start", sa.Date(), nullable=False),
        sa.Column("week_end", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("week", name=op.f("pk_weeks")),
        sa.UniqueConstraint("iso_week", name=op.f("uq_weeks_iso_week")),
    )
    op.create_table(
        "authors",
        sa.Column("id", KEY, nullable=False),
        sa.Column("channel_id", KEY, nullable=False),
        sa.Column("pseudonym", WORDS, nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name=op.f("fk_authors_channel_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authors")),
        sa.UniqueConstraint("channel_id", "pseudonym", name=op.f("uq_authors_channel_id_pseudonym")),
    )
    op.create_table(
        "daily_volume",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel_id", KEY, nullable=False),
        sa.Column("topic_id", KEY, nullable=False),
        sa.Column("mentions", sa.Integer(), nullable=False),
        sa.Column("negative", sa.Integer(), nullable=False),
        sa.Column("neutral", sa.Integer(), nullable=False),
        sa.Column("positive", sa.Integer(), nullable=False),
        sa.Column("unscored", sa.Integer(), nullable=False),
        sa.Column("engagement", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name=op.f("fk_daily_volume_channel_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_daily_volume_organization_id")
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name=op.f("fk_daily_volume_topic_id")),
        sa.PrimaryKeyConstraint("organization_id", "day", "channel_id", "topic_id", name=op.f("pk_daily_volume")),
    )
    op.create_table(
        "dirty_days",
        sa.Column("id", KEY, nullable=False),
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_dirty_days_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dirty_days")),
    )
    with op.batch_alter_table("dirty_days", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_dirty_days_organization_id_day"), ["organization_id", "day"], unique=False
        )

    op.create_table(
        "streams",
        sa.Column("id", KEY, nullable=False),
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("channel_id", KEY, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("query", WORDS, nullable=False),
        sa.Column("options", DOCUMENT, nullable=False),
        sa.Column("key", WORDS, nullable=False),
        sa.Column("cursor", DOCUMENT, nullable=False),
        sa.Column("coverage", DOCUMENT, nullable=False),
        sa.Column("newest_published_at", MOMENT, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name=op.f("fk_streams_channel_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_streams_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_streams")),
        sa.UniqueConstraint(
            "organization_id", "channel_id", "key", name=op.f("uq_streams_organization_id_channel_id_key")
        ),
    )
    op.create_table(
        "weekly_volume",
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("week", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel_id", KEY, nullable=False),
        sa.Column("topic_id", KEY, nullable=False),
        sa.Column("mentions", sa.Integer(), nullable=False),
        sa.Column("negative", sa.Integer(), nullable=False),
        sa.Column("neutral", sa.Integer(), nullable=False),
        sa.Column("positive", sa.Integer(), nullable=False),
        sa.Column("unscored", sa.Integer(), nullable=False),
        sa.Column("engagement", sa.BigInteger(), nullable=False),
        sa.Column("authors", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name=op.f("fk_weekly_volume_channel_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_weekly_volume_organization_id")
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name=op.f("fk_weekly_volume_topic_id")),
        sa.PrimaryKeyConstraint(
            "organization_id", "week", "channel_id", "topic_id", name=op.f("pk_weekly_volume")
        ),
    )
    op.create_table(
        "coverage_days",
        sa.Column("stream_id", KEY, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("covered_seconds", sa.Integer(), nullable=False),
        sa.Column("lost_seconds", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name=op.f("fk_coverage_days_stream_id")),
        sa.PrimaryKeyConstraint("stream_id", "day", name=op.f("pk_coverage_days")),
    )
    op.create_table(
        "mentions",
        sa.Column("id", KEY, nullable=False),
        sa.Column("channel_id", KEY, nullable=False),
        sa.Column("external_id", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.Column("edited_at", MOMENT, nullable=True),
        sa.Column("removed_at", MOMENT, nullable=True),
        sa.Column("language", WORDS, nullable=True),
        sa.Column("purpose", WORDS, nullable=True),
        sa.Column("sentiment", WORDS, nullable=True),
        sa.Column("sentiment_score", sa.Float(), nullable=True),
        sa.Column("text", WORDS, nullable=False),
        sa.Column("text_fingerprint", WORDS, nullable=False),
        sa.Column("permalink", WORDS, nullable=True),
        sa.Column("parent_external_id", WORDS, nullable=True),
        sa.Column("conversation_id", WORDS, nullable=True),
        sa.Column("author_id", KEY, nullable=True),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('post', 'comment', 'reply', 'video')", name=op.f("ck_mentions_kind")),
        sa.CheckConstraint(
            "purpose IN ('experience', 'question', 'recruitment', 'philanthropy', 'promotion', 'news', 'other')",
            name=op.f("ck_mentions_purpose"),
        ),
        sa.CheckConstraint("sentiment IN ('negative', 'neutral', 'positive')", name=op.f("ck_mentions_sentiment")),
        sa.CheckConstraint("sentiment_score BETWEEN -1 AND 1", name=op.f("ck_mentions_sentiment_score")),
        sa.ForeignKeyConstraint(["author_id"], ["authors.id"], name=op.f("fk_mentions_author_id")),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name=op.f("fk_mentions_channel_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mentions")),
        sa.UniqueConstraint("channel_id", "external_id", name=op.f("uq_mentions_channel_id_external_id")),
    )
    with op.batch_alter_table("mentions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mentions_author_id"), ["author_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mentions_published_at"), ["published_at"], unique=False)

    op.create_table(
        "runs",
        sa.Column("id", KEY, nullable=False),
        sa.Column("stream_id", KEY, nullable=False),
        sa.Column("job", WORDS, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("since", MOMENT, nullable=True),
        sa.Column("until", MOMENT, nullable=True),
        sa.Column("outcome", WORDS, nullable=True),
        sa.Column("error", WORDS, nullable=True),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("fetched", sa.Integer(), nullable=False),
        sa.Column("inserted", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("quota_units", sa.BigInteger(), nullable=False),
        sa.Column("searches", sa.BigInteger(), nullable=False),
        sa.Column("posts_read", sa.BigInteger(), nullable=False),
        sa.Column("cost_microusd", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("job IN ('ingest', 'refresh')", name=op.f("ck_runs_job")),
        sa.CheckConstraint(
            "outcome IN ('done', 'partial', 'interrupted', 'rate_limited', 'quota', 'auth', 'failed', 'paused', "
            "'missed')",
            name=op.f("ck_runs_outcome"),
        ),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name=op.f("fk_runs_stream_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_runs_stream_id_started_at"), ["stream_id", "started_at"], unique=False
        )

    op.create_table(
        "mention_metrics",
        sa.Column("mention_id", KEY, nullable=False),
        sa.Column("likes", sa.BigInteger(), nullable=True),
        sa.Column("replies", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("observed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["mention_id"], ["mentions.id"], name=op.f("fk_mention_metrics_mention_id")),
        sa.PrimaryKeyConstraint("mention_id", name=op.f("pk_mention_metrics")),
    )
    op.create_table(
        "mention_organizations",
        sa.Column("mention_id", KEY, nullable=False),
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["mention_id"], ["mentions.id"], name=op.f("fk_mention_organizations_mention_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_mention_organizations_organization_id")
        ),
        sa.PrimaryKeyConstraint("mention_id", "organization_id", name=op.f("pk_mention_organizations")),
    )
    with op.batch_alter_table("mention_organizations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_mention_organizations_organization_id_day"), ["organization_id", "day"], unique=False
        )

    op.create_table(
        "mention_topics",
        sa.Column("mention_id", KEY, nullable=False),
        sa.Column("topic_id", KEY, nullable=False),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("phrases", DOCUMENT, nullable=False),
        sa.CheckConstraint("source IN ('rule', 'model', 'human')", name=op.f("ck_mention_topics_source")),
        sa.ForeignKeyConstraint(["mention_id"], ["mentions.id"], name=op.f("fk_mention_topics_mention_id")),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name=op.f("fk_mention_topics_topic_id")),
        sa.PrimaryKeyConstraint("mention_id", "topic_id", "source", name=op.f("pk_mention_topics")),
    )
    with op.batch_alter_table("mention_topics", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mention_topics_topic_id"), ["topic_id"], unique=False)

    op.bulk_insert(
        sa.table(
            "topics", *(sa.column(n) for n in ("slug", "name", "group_name", "definition", "taxonomy_version"))
        ),
        [
            {
                "slug": "all",
                "name": "All mentions",
                "group_name": "",
                "definition": "Every mention once, with or without a topic.",
                "taxonomy_version": "",
            },
            {
                "slug": "(untagged)",
                "name": "Without a topic",
                "group_name": "",
                "definition": "Mentions in which no topic of the taxonomy was found.",
                "taxonomy_version": "",
            },
        ],
    )
    join = "group_concat" if op.get_bind().dialect.name == "sqlite" else "string_agg"
    op.execute(V_MENTIONS.format(join=join))
    op.execute(V_WEEKLY_VOLUME)


def downgrade() -> None:
    op.execute("DROP VIEW v_weekly_volume")
    op.execute("DROP VIEW v_mentions")
    with op.batch_alter_table("mention_topics", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mention_topics_topic_id"))

    op.drop_table("mention_topics")
    with op.batch_alter_table("mention_organizations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mention_organizations_organization_id_day"))

    op.drop_table("mention_organizations")
    op.drop_table("mention_metrics")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_runs_stream_id_started_at"))

    op.drop_table("runs")
    with op.batch_alter_table("mentions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mentions_published_at"))
        batch_op.drop_index(batch_op.f("ix_mentions_author_id"))

    op.drop_table("mentions")
    op.drop_table("coverage_days")
    op.drop_table("weekly_volume")
    op.drop_table("streams")
    with op.batch_alter_table("dirty_days", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dirty_days_organization_id_day"))

    op.drop_table("dirty_days")
    op.drop_table("daily_volume")
    op.drop_table("authors")
    op.drop_table("weeks")
    op.drop_table("topics")
    op.drop_table("organizations")
    op.drop_table("leases")
    op.drop_table("channels")
