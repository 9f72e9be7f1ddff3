"""Partitions a store: the tables are made anew by the month of publication, and every row gets its new id.

It is one transaction, in which nobody else reads or writes: where it ends early the store is as it was. The old
tables lie beside the new ones until it commits, so that it needs as much room on disk as the mentions have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Table, TableClause, column, func, insert, select, text, update
from sqlalchemy import table as sql_table

from listener.calendar import local_day
from listener.errors import ConfigError, StoreError
from storage.opening import Database, connect, migration_transaction, ready
from storage.partitions import (
    KEYS,
    LATEST,
    NUMBER_BITS,
    after,
    attach,
    before,
    constrain,
    create,
    id_in_sql,
    is_of_another_day,
    is_partitioned,
    month_in_sql,
    of_month,
    storage_parameters,
)
from storage.rolling import wait_for_every_turn
from storage.schema import channels, dirty_days, mention_organizations, mentions, organizations
from storage.writing import take_turn

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COPIED_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Partitioned:
    """What a partitioned store has: how many partitions of each table, and how many mentions.

    ``is_new`` says that it was made so just now.
    """

    partitions: int
    mentions: int
    is_new: bool


Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many of it are done, and of how many."""


def partition(url: str, *, since: date, progress: Progress | None = None) -> Partitioned:
    """Partition the database at ``url``; one that is partitioned already stays as it is.

    The month of ``since`` and later ones have a partition each, what is older has one together. Raises
    ``ConfigError`` for SQLite, ``StoreError`` where the schema is of another version or something that is not
    Listener's hangs on the tables.
    """
    first_month = since.year * 12 + since.month - 1
    if first_month >= LATEST:
        raise ConfigError(f"--since {since}: partitions by the month begin before {LATEST // 12}")
    database = connect(url)
    try:
        if database.is_sqlite:
            raise ConfigError(
                f"the database {database.place} is SQLite, which needs no partitions: they are for large stores "
                "on PostgreSQL"
            )
        ready(database)
        with migration_transaction(database) as connection:
            is_new = not is_partitioned(connection)
            if is_new:
                _refuse_what_hangs(connection, database.place)
                _wait_for_others(connection)
                _redate(connection)
                _rebuild(connection, first_month, progress or _silent)
        if is_new:
            _analyze(database)
        with database.read() as connection:
            return _counted(connection, is_new=is_new)
    finally:
        database.close()


def _silent(_what: str, _done: int, _total: int) -> None:
    pass


def _counted(connection: Connection, *, is_new: bool) -> Partitioned:
    children = text("SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass(:parent)")
    return Partitioned(
        partitions=connection.execute(children, {"parent": mentions.name}).scalar_one(),
        mentions=connection.execute(select(func.count()).select_from(mentions)).scalar_one(),
        is_new=is_new,
    )


_HANGING = text(
    """
    WITH ours AS (SELECT to_regclass(name)::oid AS id FROM unnest(cast(:names AS text[])) AS name)
    SELECT 'the foreign key ' || conname FROM pg_constraint JOIN ours ON confrelid = ours.id
        WHERE contype = 'f' AND conrelid NOT IN (SELECT id FROM ours)
    UNION SELECT 'the trigger ' || tgname FROM pg_trigger JOIN ours ON tgrelid = ours.id WHERE NOT tgisinternal
    UNION SELECT 'the policy ' || polname FROM pg_policy JOIN ours ON polrelid = ours.id
    UNION SELECT 'the statistics ' || stxname FROM pg_statistic_ext JOIN ours ON stxrelid = ours.id
    UNION SELECT 'the publication ' || pubname FROM pg_publication_rel JOIN ours ON prrelid = ours.id
        JOIN pg_publication ON pg_publication.oid = prpubid
    UNION SELECT 'the table ' || inhrelid::regclass FROM pg_inherits JOIN ours ON inhparent = ours.id
    UNION SELECT 'the unique index ' || relname FROM pg_index JOIN ours ON indrelid = ours.id
        JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indisunique AND NOT indisprimary AND relname <> :ours_alone
    UNION SELECT 'a privilege on the column ' || attname FROM pg_attribute JOIN ours ON attrelid = ours.id
        WHERE attacl IS NOT NULL
    ORDER BY 1
    """
)


def _refuse_what_hangs(connection: Connection, place: str) -> None:
    """Raise ``StoreError`` for what would be lost with the old tables, or would keep them."""
    asked = {"names": [table.name for table in KEYS], "ours_alone": "uq_mentions_channel_id_external_id"}
    hanging = list(connection.execute(_HANGING, asked).scalars())
    if hanging:
        raise StoreError(
            f"the database {place}: {', '.join(hanging)} hangs on tables that are made anew: drop it first, and "
            "create it again when the store is partitioned"
        )


def _wait_for_others(connection: Connection) -> None:
    # First as writers wait for each other: none of them is then in the middle of something for which it needs one
    # more of the tables.
    wait_for_every_turn(connection)
    for channel_id in connection.execute(select(channels.c.id).order_by(channels.c.id)).scalars():
        take_turn(connection, channel_id)
    names = ", ".join(table.name for table in KEYS)
    connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")


def _redate(connection: Connection) -> None:
    """Count mentions on the day of their own moment: their partition is looked into for no other day.

    Where a second organization was told another moment of one, its day was that of the second.
    """
    links = mention_organizations
    query = (
        select(
            links.c.mention_id,
            links.c.organization_id,
            links.c.day,
            mentions.c.published_at,
            organizations.c.timezone,
        )
        .join(mentions, mentions.c.id == links.c.mention_id)
        .join(organizations, organizations.c.id == links.c.organization_id)
        .where(is_of_another_day())
    )
    for mention_id, organization_id, day, published_at, timezone in connection.execute(query).all():
        new = local_day(published_at, ZoneInfo(timezone))
        of_link = (links.c.mention_id == mention_id, links.c.organization_id == organization_id)
        connection.execute(update(links).where(*of_link).values(day=new))
        dirty = [{"organization_id": organization_id, "day": one} for one in (day, new)]
        connection.execute(insert(dirty_days), dirty)


def _run(connection: Connection, statement: str) -> None:
    # What the catalogue says of the old tables may hold a percent sign, which is no parameter.
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


_BELONGINGS = text(
    """
    SELECT format('COMMENT ON %s %s IS %L', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END,
        cast(:table AS text), obj_description(oid, 'pg_class')) FROM pg_class WHERE oid = to_regclass(:table)
    UNION ALL SELECT format('GRANT %s ON %s TO %s%s', privilege_type, cast(:table AS text),
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(:table)
    """
)
_VIEWS = text(
    """
    WITH RECURSIVE uses AS (
        SELECT DISTINCT ev_class AS view, refobjid AS relation FROM pg_rewrite
        JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
        WHERE refclassid = 'pg_class'::regclass AND ev_class <> refobjid
    ), above AS (
        SELECT view, 1 AS height FROM uses
        WHERE relation IN (SELECT to_regclass(name)::oid FROM unnest(cast(:names AS text[])) AS name)
        UNION SELECT uses.view, height + 1 FROM uses JOIN above ON above.view = uses.relation
    )
    SELECT above.view::regclass::text AS name, pg_get_viewdef(above.view) AS definition,
        array_to_string(reloptions, ', ') AS options, quote_ident(pg_get_userbyid(relowner)) AS owner
    FROM above JOIN pg_class ON oid = above.view WHERE relkind = 'v'
    GROUP BY above.view, reloptions, relowner ORDER BY max(height)
    """
)


def _drop_views(connection: Connection) -> list[str]:
    """Drop the views that look at the tables, whoever made them; return the statements that make them again."""
    views = connection.execute(_VIEWS, {"names": [table.name for table in KEYS]}).all()
    again = []
    for view in views:
        options = f" WITH ({view.options})" if view.options else ""
        again += [
            f"CREATE VIEW {view.name}{options} AS {view.definition}",
            f"ALTER VIEW {view.name} OWNER TO {view.owner}",
            *connection.execute(_BELONGINGS, {"table": view.name}).scalars(),
        ]
    if views:
        _run(connection, f"DROP VIEW {', '.join(view.name for view in views)}")
    return again


class _Old(NamedTuple):
    """What an old table is called now, and what its successor is to be given: columns, parameters, statements."""

    name: str
    columns: Sequence[str]
    parameters: str
    keys: Sequence[str]
    belongings: Sequence[str]

    def table(self) -> TableClause:
        return sql_table(self.name, *map(column, self.columns))


def _rebuild(connection: Connection, first_month: int, progress: Progress) -> None:
    views = _drop_views(connection)
    _become_owner(connection)
    sequence = text("SELECT pg_get_serial_sequence(:table, 'id')")
    numbers = connection.execute(sequence, {"table": mentions.name}).scalar_one()
    partitions = [before(first_month), *map(of_month, _months(connection, first_month)), after()]
    # All of them first: what is said of one names others.
    old = {table: _describe(connection, table) for table in KEYS}
    for table in KEYS:
        _succeed(connection, table, old[table])
        for one in partitions:
            create(connection, table, one, old[table].parameters)
            attach(connection, table, one)
    _copy(connection, old, progress)
    done, total = 0, len(KEYS) * len(partitions)
    for table in KEYS:
        for statement in old[table].keys:
            _run(connection, statement)
        for one in partitions:
            constrain(connection, table, one)
            progress("partitions indexed", done := done + 1, total)
        for statement in old[table].belongings:
            _run(connection, statement)
    # The sequence goes over to the new table, or it would go with the old one.
    _run(connection, f"ALTER SEQUENCE {numbers} MAXVALUE {(1 << NUMBER_BITS) - 1} OWNED BY {mentions.name}.id")
    _run(connection, f"DROP TABLE {', '.join(one.name for one in old.values())}")
    _run(connection, "RESET ROLE")
    for statement in views:
        _run(connection, statement)


def _become_owner(connection: Connection) -> None:
    # Whoever is asked to do this, perhaps a superuser: the tables stay whose they are.
    owner = text("SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = to_regclass(:table)")
    _run(connection, f"SET LOCAL ROLE {connection.execute(owner, {'table': mentions.name}).scalar_one()}")


def _months(connection: Connection, first_month: int) -> list[int]:
    found = connection.execute(select(month_in_sql(mentions.c.published_at)).distinct()).scalars()
    return sorted(month for month in found if first_month <= month < LATEST)


_COLUMNS = text(
    "SELECT attname::text FROM pg_attribute "
    "WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' "
    "ORDER BY attnum"
)
_KEYS = text(
    """
    SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', cast(:table AS text), conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE conrelid = to_regclass(:table)
        AND (contype = 'p' OR contype = 'f' AND confrelid <> to_regclass(:referenced))
    UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid = to_regclass(:table) AND NOT indisunique
    """
)
_INDEXES = text("SELECT indexrelid::regclass::text, indexrelid FROM pg_index WHERE indrelid = to_regclass(:table)")


def _describe(connection: Connection, table: Table) -> _Old:
    asked = {"table": table.name, "referenced": mentions.name}
    columns, keys, belongings = (
        list(connection.execute(query, asked).scalars()) for query in (_COLUMNS, _KEYS, _BELONGINGS)
    )
    parameters = storage_parameters(connection, table.name)
    return _Old(f"{table.name}_unpartitioned", columns, parameters, keys, belongings)


def _succeed(connection: Connection, table: Table, old: _Old) -> None:
    """Put a table away under another name, and make its successor, which is partitioned and has no keys yet."""
    for index, number in connection.execute(_INDEXES, {"table": table.name}).all():
        _run(connection, f"ALTER INDEX {index} RENAME TO unpartitioned_{number}")
    _run(connection, f"ALTER TABLE {table.name} RENAME TO {old.name}")
    _run(
        connection,
        f"CREATE TABLE {table.name} (LIKE {old.name} INCLUDING ALL EXCLUDING INDEXES) "
        f"PARTITION BY RANGE ({KEYS[table].name})",
    )


def _copy(connection: Connection, old: Mapping[Table, _Old], progress: Progress) -> None:
    """Copy every row under its new id, some mentions at a time with all that hangs on them."""
    source = old[mentions].table()
    total = connection.execute(select(func.count()).select_from(source)).scalar_one()
    done, low = 0, -1
    while True:
        ids = select(source.c.id).where(source.c.id > low).order_by(source.c.id).limit(_COPIED_AT_ONCE).subquery()
        high, count = connection.execute(select(func.max(ids.c.id), func.count()).select_from(ids)).one()
        if not count:
            return
        for table, one in old.items():
            _copy_some(connection, table, one.table(), source, (low, high))
        done, low = done + count, high
        progress("mentions copied", done, total)


def _copy_some(
    connection: Connection, table: Table, old: TableClause, source: TableClause, ids: tuple[int, int]
) -> None:
    low, high = ids
    key = old.c[KEYS[table].name]
    origin = source.alias("origin")
    new_id = id_in_sql(month_in_sql(origin.c.published_at), origin.c.id)
    names = [column.name for column in old.c]
    rows = (
        select(*(new_id if column is key else column for column in old.c))
        .select_from(old.join(origin, origin.c.id == key))
        .where(
            *(column > low for column in (key, origin.c.id)), *(column <= high for column in (key, origin.c.id))
        )
    )
    into = sql_table(table.name, *(column(name) for name in names))
    connection.execute(into.insert().from_select(names, rows))


def _analyze(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in KEYS)}")
