"""The normalised store as tables: natural keys are unique, integer keys join, foreign keys hold everywhere.

Moments are UTC. A ``day`` is the organization's own calendar day as days since 1970-01-01, a ``week`` its
Monday week as weeks since 1969-12-29 (see :mod:`listener.calendar`): integers group alike on every engine.
The migrations make these tables; a test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.types import TypeDecorator, TypeEngine

from listener.mention import Kind, Purpose, Sentiment, Source

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Dialect

SCHEMA_VERSION = "0006"
"""The revision of the migrations that these tables are."""

ALL = "all"
"""The pseudo-topic that counts every mention once, and the pseudo-channel that sums the channels."""
CARE = "(care)"
"""The pseudo-topic of what is told or asked about care: an experience or a question, read with certainty."""
UNTAGGED = "(untagged)"
"""The pseudo-topic of the counted mentions that have no topic (see :mod:`storage.counting`)."""
OTHER_PURPOSES = "(other purposes)"
"""The pseudo-topic of what is for something else: a job, a gift, an advertisement, the news."""
TO_REVIEW = "(to review)"
"""The pseudo-topic of mentions whose purpose is too uncertain to be counted before a person has looked."""


class Outcome(StrEnum):
    """How a run ended; a run without an outcome is under way or was killed."""

    DONE = "done"
    PARTIAL = "partial"
    INTERRUPTED = "interrupted"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    AUTH = "auth"
    FAILED = "failed"
    PAUSED = "paused"
    MISSED = "missed"


class Job(StrEnum):
    """What a run was for: a pull of the stream, or a look-up of the channel's mentions that is booked to it."""

    INGEST = "ingest"
    REFRESH = "refresh"


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: ``timestamptz`` on PostgreSQL, text that sorts by time on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that the database knows."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Hand the database UTC; a moment without a time zone is a ``ValueError``."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        return value.replace(tzinfo=None).isoformat(" ", "microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the moment, aware, in UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        moment: datetime = value
        return moment.astimezone(UTC)


# PostgreSQL would sort text by the server's locale; "C" sorts by code point as SQLite does, so that both
# databases give rows in one order.
Words = Text().with_variant(Text(collation="C"), "postgresql")
Document = JSON().with_variant(JSONB(), "postgresql")
# SQLite counts rowids up by itself for INTEGER keys only.
Key = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=column)


def _refers(name: str, target: str, **options: Any) -> Column[Any]:
    return Column(name, Key, ForeignKey(target), nullable=False, **options)


def _counts(number: type[Integer] = Integer) -> list[Column[Any]]:
    names = ("mentions", "negative", "neutral", "positive", "unscored")
    return [
        *(Column(name, number, nullable=False) for name in names),
        Column("engagement", BigInteger, nullable=False),
    ]


organizations = Table(
    "organizations",
    metadata,
    Column("id", Key, primary_key=True),
    Column("slug", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("timezone", Words, nullable=False),
)

channels = Table(
    "channels",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", Words, nullable=False, unique=True),
)

streams = Table(
    "streams",
    metadata,
    Column("id", Key, primary_key=True),
    _refers("organization_id", "organizations.id"),
    _refers("channel_id", "channels.id"),
    Column("kind", Words, nullable=False),
    Column("query", Words, nullable=False),
    Column("options", Document, nullable=False),
    Column("key", Words, nullable=False),
    Column("cursor", Document, nullable=False),
    Column("coverage", Document, nullable=False),
    Column("newest_published_at", Moment),
    Column("failures", Integer, nullable=False),
    Column("paused_until", Moment),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("organization_id", "channel_id", "key"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Key, primary_key=True),
    _refers("stream_id", "streams.id"),
    Column("job", Words, nullable=False, default=Job.INGEST.value),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("since", Moment),
    Column("until", Moment),
    Column("outcome", Words),
    Column("error", Words),
    *(
        Column(name, Integer, nullable=False, default=0)
        for name in ("pages", "fetched", "inserted", "updated", "unchanged", "skipped")
    ),
    *(
        Column(name, BigInteger, nullable=False, default=0)
        for name in ("requests", "quota_units", "searches", "posts_read", "cost_microusd")
    ),
    _one_of("job", Job),
    _one_of("outcome", Outcome),
    Index(None, "stream_id", "started_at"),
)

coverage_days = Table(
    "coverage_days",
    metadata,
    _refers("stream_id", "streams.id", primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("covered_seconds", Integer, nullable=False),
    Column("lost_seconds", Integer, nullable=False),
)

authors = Table(
    "authors",
    metadata,
    Column("id", Key, primary_key=True),
    _refers("channel_id", "channels.id"),
    Column("pseudonym", Words, nullable=False),
    UniqueConstraint("channel_id", "pseudonym"),
)

mentions = Table(
    "mentions",
    metadata,
    Column("id", Key, primary_key=True),
    _refers("channel_id", "channels.id"),
    Column("external_id", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("published_at", Moment, nullable=False, index=True),
    Column("edited_at", Moment),
    Column("removed_at", Moment),
    Column("language", Words),
    Column("purpose", Words),
    Column("purpose_score", Float),
    Column("needs_review", Boolean, nullable=False, server_default=false()),
    Column("sentiment", Words),
    Column("sentiment_score", Float),
    Column("positive_part", Float),
    Column("negative_part", Float),
    Column("signals_version", Words),
    Column("text", Words, nullable=False),
    Column("text_fingerprint", Words, nullable=False),
    Column("permalink", Words),
    Column("parent_external_id", Words),
    Column("conversation_id", Words),
    Column("author_id", Key, ForeignKey("authors.id"), index=True),
    Column("first_seen_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("checked_at", Moment, nullable=False),
    *(Column(f"{part}_corrected_at", Moment) for part in ("purpose", "sentiment", "topics")),
    UniqueConstraint("channel_id", "external_id"),
    _one_of("kind", Kind),
    _one_of("purpose", Purpose),
    _one_of("sentiment", Sentiment),
    CheckConstraint("sentiment_score BETWEEN -1 AND 1", name="sentiment_score"),
    CheckConstraint("purpose_score BETWEEN 0 AND 1", name="purpose_score"),
)

# On SQLite a table of FTS5 (migration 0004): its rowid stands for the mention's id, and it knows no foreign key.
mention_words = Table(
    "mention_words",
    metadata,
    _refers("mention_id", "mentions.id", primary_key=True),
    Column("tokens", TSVECTOR().with_variant(Text(), "sqlite"), nullable=False),
    Index(None, "tokens", postgresql_using="gin"),
    comment="The full-text index: the words of each text, and of French ones the stems. On SQLite a table "
    "of FTS5, in which `rowid` stands for `mention_id`.",
)

mention_organizations = Table(
    "mention_organizations",
    metadata,
    _refers("mention_id", "mentions.id", primary_key=True),
    _refers("organization_id", "organizations.id", primary_key=True),
    Column("day", Integer, nullable=False),
    Column("own", Boolean, nullable=False),
    Index(None, "organization_id", "day"),
)

mention_metrics = Table(
    "mention_metrics",
    metadata,
    _refers("mention_id", "mentions.id", primary_key=True),
    Column("likes", BigInteger),
    Column("replies", BigInteger),
    Column("shares", BigInteger),
    Column("views", BigInteger),
    Column("observed_at", Moment, nullable=False),
)

topics = Table(
    "topics",
    metadata,
    Column("id", Key, primary_key=True),
    Column("slug", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("group_name", Words, nullable=False),
    Column("definition", Words, nullable=False),
    Column("taxonomy_version", Words, nullable=False),
)

mention_topics = Table(
    "mention_topics",
    metadata,
    _refers("mention_id", "mentions.id", primary_key=True),
    _refers("topic_id", "topics.id", primary_key=True),
    Column("source", Words, primary_key=True),
    Column("score", Float, nullable=False),
    Column("phrases", Document, nullable=False),
    _one_of("source", Source),
    Index(None, "topic_id"),
)

daily_volume = Table(
    "daily_volume",
    metadata,
    _refers("organization_id", "organizations.id", primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    _refers("channel_id", "channels.id", primary_key=True),
    _refers("topic_id", "topics.id", primary_key=True),
    *_counts(),
    Index(None, "day"),
)

weekly_volume = Table(
    "weekly_volume",
    metadata,
    _refers("organization_id", "organizations.id", primary_key=True),
    Column("week", Integer, primary_key=True, autoincrement=False),
    _refers("channel_id", "channels.id", primary_key=True),
    _refers("topic_id", "topics.id", primary_key=True),
    *_counts(),
    Column("authors", Integer, nullable=False),
    Index(None, "week"),
)

daily_totals = Table(
    "daily_totals",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    _refers("channel_id", "channels.id", primary_key=True),
    _refers("topic_id", "topics.id", primary_key=True),
    *_counts(BigInteger),
    comment="The sums of `daily_volume` over the organizations; a mention of two of them counts twice.",
)

weekly_totals = Table(
    "weekly_totals",
    metadata,
    Column("week", Integer, primary_key=True, autoincrement=False),
    _refers("channel_id", "channels.id", primary_key=True),
    _refers("topic_id", "topics.id", primary_key=True),
    *_counts(BigInteger),
    Column("authors", BigInteger, nullable=False),
    comment="The sums of `weekly_volume` over the organizations, the authors' too: who wrote about two of them is "
    "two authors here.",
)

weeks = Table(
    "weeks",
    metadata,
    Column("week", Integer, primary_key=True, autoincrement=False),
    Column("iso_week", Words, nullable=False, unique=True),
    Column("week_start", Date, nullable=False),
    Column("week_end", Date, nullable=False),
)

dirty_days = Table(
    "dirty_days",
    metadata,
    Column("id", Key, primary_key=True),
    _refers("organization_id", "organizations.id"),
    Column("day", Integer, nullable=False),
    Index(None, "organization_id", "day"),
)

dirty_totals = Table(
    "dirty_totals",
    metadata,
    Column("id", Key, primary_key=True),
    Column("day", Integer, nullable=False),
    Index(None, "day"),
    comment="Days that were counted anew, and whose totals, and those of their weeks, are to be summed anew.",
)

signal_changes = Table(
    "signal_changes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("made_at", Moment, nullable=False),
    Column("since_day", Integer),
    Column("from_version", Words),
    Column("to_version", Words, nullable=False),
    Column("mentions", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Words, primary_key=True),
    Column("owner", Words, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    Column("name", Words, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("planned_at", Moment, nullable=False),
    Column("due_at", Moment),
)

spending = Table(
    "spending",
    metadata,
    _refers("channel_id", "channels.id", primary_key=True),
    Column("day_began", Moment, primary_key=True),
    Column("job", Words, primary_key=True),
    Column("holder", Words, primary_key=True),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("requests", "quota_units", "searches", "posts_read", "cost_microusd")
    ),
    _one_of("job", Job),
)


_FAR_WEEKS = 1_000_000


def week_of(day: ColumnElement[int]) -> ColumnElement[int]:
    """Return the week of a day, in SQL, as :func:`listener.calendar.week_of_day` has it."""
    # Databases divide integers towards zero, weeks are divided downwards: shifted, the two are one. Written as
    # constants: PostgreSQL would take two copies of an expression with parameters for two groupings.
    shift, days, far = (literal_column(str(number), Integer) for number in (3 + 7 * _FAR_WEEKS, 7, _FAR_WEEKS))
    return (day + shift) // days - far
