"""Makes a filled PostgreSQL store many times as large on the server, where the store's own path would take hours.

Each copy of a mention lies whole weeks later or earlier within the same two years, so that days, weeks and hours
keep their shares; its ids are new, and its author is one of as many as :mod:`benchmarks.filling` has in a week.
Texts, signals and words are those of the mention that it is a copy of. What counts the days is the store itself.
"""

from __future__ import annotations

import psycopg
from sqlalchemy.engine import make_url

from benchmarks import filling
from listener.calendar import local_day
from listener.settings import Settings
from storage.schema import mention_metrics, mention_topics, mentions

_DAYS = filling.SPAN.days
# A step that goes through all the weeks before it comes back to one.
_STEP_WEEKS = 37
_SEEDS = "bench_seeds"
_SPARE_INDEXES = """
    SELECT tablename, indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public'
      AND tablename IN ('mentions', 'mention_words', 'mention_topics', 'mention_organizations')
      AND indexname::regclass NOT IN (SELECT conindid FROM pg_constraint)
"""
_COPIES = f"""
    CREATE UNLOGGED TABLE bench_copies AS
    SELECT n, seed.id AS seed_id, seed.organization_id, seed.own, seed.channel_id,
           %(last_id)s + n + 1 AS id, moved.day,
           (seed.published_at AT TIME ZONE %(zone)s + (moved.day - seed.day) * interval '1 day')
               AT TIME ZONE %(zone)s AS published_at,
           %(authors)s + ((seed.channel_id * 16 + seed.organization_id) * 200 + (moved.day - %(day)s) / 7)
               * %(authors_a_week)s + n * 7919 %% %(authors_a_week)s AS author_id
    FROM generate_series(%(have)s::bigint, %(size)s::bigint - 1) AS n
    JOIN {_SEEDS} AS seed ON seed.place = n %% %(seeds)s
    CROSS JOIN LATERAL (
        SELECT (%(day)s + (seed.day - %(day)s + 7 * {_STEP_WEEKS} * (n / %(seeds)s)) %% {_DAYS})::int AS day
    ) AS moved
"""


class Multiplying:
    """Multiplies what the store at ``url`` holds when this is made: each mention linked to one organization."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        first_day = local_day(filling.START, settings.organizations[0].zone)
        with self._connect() as connection:
            connection.execute(
                f"CREATE UNLOGGED TABLE {_SEEDS} AS SELECT row_number() OVER (ORDER BY m.id) - 1 AS place, m.id, "
                "m.channel_id, m.published_at, o.organization_id, o.day, o.own "
                "FROM mentions AS m JOIN mention_organizations AS o ON o.mention_id = m.id"
            )
            connection.execute(f"CREATE UNIQUE INDEX ON {_SEEDS} (place)")
            self._have = self._number(connection, f"SELECT count(*) FROM {_SEEDS}")
            self._facts: dict[str, int | str] = {
                "zone": settings.organizations[0].timezone,
                "seeds": self._have,
                "last_id": self._number(connection, "SELECT max(id) FROM mentions"),
                "authors": self._number(connection, "SELECT max(id) FROM authors"),
                "authors_a_week": filling.AUTHORS_A_WEEK,
                "day": first_day,
            }

    def grow(self, size: int) -> None:
        """Copy until the store holds ``size`` mentions, and mark every day that got one."""
        with self._connect() as connection:
            spare = connection.execute(_SPARE_INDEXES).fetchall()
            for _, name, _ in spare:
                connection.execute(f"DROP INDEX {name}")
            connection.execute(_COPIES, {**self._facts, "have": self._have, "size": size})
            for statement in _INSERTS:
                connection.execute(statement)
            for table in ("mentions", "authors"):
                connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
                )
            connection.execute("DROP TABLE bench_copies")
            for _, _, definition in spare:
                connection.execute(definition)
            # What the server does by itself in the minutes after.
            connection.execute("VACUUM ANALYZE")
        self._have = size

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(self._address, autocommit=True)
        # The rows are copies of rows that were checked: no foreign key is checked again.
        for setting in (
            "session_replication_role = replica",
            "synchronous_commit = off",
            "maintenance_work_mem = '1GB'",
            "work_mem = '256MB'",
        ):
            connection.execute(f"SET {setting}")
        return connection

    @staticmethod
    def _number(connection: psycopg.Connection, query: str) -> int:
        (number,) = connection.execute(query).fetchone() or (0,)
        return int(number)


def _copy(table: str, columns: list[str], made: dict[str, str], key: str) -> str:
    """Return the statement that copies a table's rows of the seeds, ``made`` telling what is another value."""
    values = [made.get(name, f"old.{name}") for name in columns]
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM bench_copies AS copy JOIN {table} AS old ON old.{key} = copy.seed_id ORDER BY copy.n"
    )


_MADE_OF_A_MENTION = {
    "id": "copy.id",
    "external_id": "'copy_' || lpad(to_hex(copy.n), 8, '0')",
    "permalink": "'https://copy.example/' || lpad(to_hex(copy.n), 8, '0')",
    "conversation_id": "'copy_' || lpad(to_hex(copy.n / 4), 8, '0')",
    "published_at": "copy.published_at",
    "author_id": "copy.author_id",
}
_OF_MENTION = {"mention_id": "copy.id"}
_INSERTS = (
    (
        "INSERT INTO authors (id, channel_id, pseudonym) SELECT DISTINCT author_id, channel_id, "
        "encode(sha256(author_id::text::bytea), 'hex') FROM bench_copies ON CONFLICT DO NOTHING"
    ),
    _copy("mentions", list(mentions.c.keys()), _MADE_OF_A_MENTION, "id"),
    _copy("mention_metrics", list(mention_metrics.c.keys()), _OF_MENTION, "mention_id"),
    _copy("mention_topics", list(mention_topics.c.keys()), _OF_MENTION, "mention_id"),
    _copy("mention_words", ["mention_id", "tokens"], _OF_MENTION, "mention_id"),
    (
        "INSERT INTO mention_organizations (mention_id, organization_id, day, own) "
        "SELECT id, organization_id, day, own FROM bench_copies ORDER BY n"
    ),
    "INSERT INTO dirty_days (organization_id, day) SELECT DISTINCT organization_id, day FROM bench_copies",
)
