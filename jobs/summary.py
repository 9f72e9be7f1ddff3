"""The weekly summary: one tidy row for each organization, week, channel and topic, and its CSV.

The organization ``all`` is every organization the store has, together: a mention of two of them counts for each,
in each one's own week.

Every configured channel has a row for every topic, zeros included, so that weeks can be laid side by side; the
totals stand under the channel ``all`` and the topic ``all``. A mention with several topics counts in each and
once in ``all``; what topics do not count stands in ``(other purposes)`` and ``(to review)``
(:mod:`storage.counting`). Only the weekly rollup is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import connectors as installed
from jobs.export import write_file
from jobs.weeks_read import Reading, readings
from listener.calendar import iso_week, local_day, week_end, week_of_day, week_start
from listener.errors import ConfigError
from listener.signals.taxonomy import Taxonomy
from storage import queries
from storage.changes import breaks
from storage.counting import PSEUDO_TOPICS
from storage.schema import ALL, CARE, OTHER_PURPOSES, TO_REVIEW, UNTAGGED

if TYPE_CHECKING:
    from jobs.connections import Platforms
    from listener.clock import Clock
    from listener.settings import OrganizationSettings, Settings
    from storage.queries import SignalChange, WeeklyVolume
    from storage.store import MentionStore

SETTLING = timedelta(hours=48)
"""How long after its end a week may still change: edits, late comments, a platform's own delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One line of the weekly CSV; the fields stand in the file's order.

    ``week_start`` is the Monday, ``week_end`` the Sunday, in the organization's time zone; for the organization
    ``all`` in each one's own, and its ``authors`` are the sum of theirs. The four counts of
    sentiment add up to ``mentions``. ``net_sentiment`` is (positive - negative) ÷ scored, in [-1, 1], None where
    none was scored. ``engagement`` is likes, replies and shares. ``authors`` is None where none are kept.
    ``mentions_previous_week`` and ``change`` (the difference) are None where the week before was not read, for
    ``all`` where a channel that was read in this week was not: nothing heard is not nothing said. ``coverage``
    is the share of the week that the channel's configured streams read, on average, from 0 to 1.
    ``provisional``: late items can still change the week. ``rebase`` is None, or the version of taxonomy and
    models that begins in this week: what stands before was heard by another, and a step may be the listener's.
    """

    organization: str
    iso_week: str
    week_start: date
    week_end: date
    channel: str
    topic: str
    mentions: int
    authors: int | None
    negative: int
    neutral: int
    positive: int
    unscored: int
    net_sentiment: float | None
    engagement: int
    mentions_previous_week: int | None
    change: int | None
    coverage: float
    provisional: bool
    rebase: str | None


COLUMNS = tuple(field.name for field in fields(SummaryRow))


def weekly_summary(
    settings: Settings,
    store: MentionStore,
    *,
    newest: int | None = None,
    last: int = 1,
    organizations: Sequence[str] = (),
    clock: Clock,
    platforms: Platforms = installed,
) -> list[SummaryRow]:
    """Return the rows of the ``last`` weeks up to the week number ``newest``, oldest week first.

    ``organizations`` are slugs, or ``"all"`` for all together (default: each one by itself). Without ``newest`` it
    is the last whole week of each organization, for all together the last that is over everywhere. Raises
    ``ConfigError`` for an unknown organization, ``StoreError``.
    """
    chosen: Sequence[OrganizationSettings | None] = [
        None if slug == ALL else settings.organization(slug) for slug in organizations
    ] or settings.organizations
    topics = [topic.slug for topic in Taxonomy.load(settings.topics_file).topics]
    now = clock.now()
    rebases = weeks_rebased(queries.signal_changes(store))
    rows: list[SummaryRow] = []
    for organization in chosen:
        of = [organization] if organization else settings.organizations
        final = min(last_whole_week(one, now) for one in of) if newest is None else newest
        weeks = range(final - last + 1, final + 1)
        slug = organization.slug if organization else None
        reading = readings(settings, store, organization, [weeks[0] - 1, *weeks], platforms)
        volumes = queries.weekly_volume(store, organization=slug, weeks=[weeks[0] - 1, *weeks])
        configured = {stream.channel for one in of for stream in one.streams}
        keeps_authors = settings.privacy.author_key != "none"
        book = _Book(slug or ALL, configured, topics, reading, volumes, rebases, keeps_authors=keeps_authors)
        for week in weeks:
            rows.extend(book.rows(week, now))
    return rows


def last_whole_week(organization: OrganizationSettings, now: datetime) -> int:
    """Return the number of the week that ended last where the organization is."""
    return week_of_day(local_day(now, organization.zone)) - 1


def weeks_rebased(changes: Sequence[SignalChange]) -> dict[int, str]:
    """Return the weeks in which a series breaks, each with the version (the last of them) that begins in it."""
    return {
        week_of_day(change.since_day): change.to_version
        for change in breaks(changes)
        if change.since_day is not None
    }


def in_order(topics: Sequence[str], heard: Iterable[str]) -> list[str]:
    """Return the topics of a taxonomy with those that are ``heard`` beside it, as every table has them.

    A topic that the taxonomy no longer has keeps its counts, and so its row.
    """
    former = set(heard) - {*PSEUDO_TOPICS, *topics}
    return [ALL, CARE, *topics, *sorted(former), UNTAGGED, OTHER_PURPOSES, TO_REVIEW]


@dataclass(frozen=True, slots=True)
class Share:
    """Of ``mentions`` in all, how many topics count, and how many they leave out for which reason."""

    mentions: int
    care: int
    other_purposes: int
    to_review: int

    @property
    def counted(self) -> int:
        """How many the topics (and "(untagged)") count: experiences, questions, and what has no purpose."""
        return self.mentions - self.other_purposes - self.to_review


def share_counted(rows: Iterable[SummaryRow]) -> Share:
    """Add up what the rows leave out, over their organizations and weeks."""
    sums = dict.fromkeys((ALL, CARE, OTHER_PURPOSES, TO_REVIEW), 0)
    for row in rows:
        if row.channel == ALL and row.topic in sums:
            sums[row.topic] += row.mentions
    return Share(*sums.values())


def net_sentiment(negative: int, neutral: int, positive: int) -> float | None:
    """Return (positive - negative) ÷ (all that were scored), to four places; None where none was."""
    scored = negative + neutral + positive
    return round((positive - negative) / scored, 4) if scored else None


class _Book:
    """The numbers of one organization, or of all, laid out as rows."""

    def __init__(
        self,
        organization: str,
        configured: Collection[str],
        topics: Sequence[str],
        reading: Reading,
        volumes: Iterable[WeeklyVolume],
        rebases: Mapping[int, str],
        *,
        keeps_authors: bool,
    ) -> None:
        self._organization = organization
        self._reading = reading
        self._rebases = rebases
        self._keeps_authors = keeps_authors
        self._volumes: Mapping[tuple[int, str, str], WeeklyVolume] = {
            (volume.week, volume.channel, volume.topic): volume for volume in volumes
        }
        heard = {channel for _, channel, _ in self._volumes} | set(configured)
        self._channels = [ALL, *sorted(heard - {ALL})]
        self._topics = in_order(topics, {topic for _, _, topic in self._volumes})

    def rows(self, week: int, now: datetime) -> Iterable[SummaryRow]:
        settled = now >= self._reading.end(week) + SETTLING
        for channel in self._channels:
            coverage = self._reading.coverage(week, channel)
            provisional = not settled or self._reading.is_behind(week, channel)
            for topic in self._topics:
                yield self._row(week, channel, topic, coverage, provisional=provisional)

    def _row(self, week: int, channel: str, topic: str, coverage: float, *, provisional: bool) -> SummaryRow:
        volume = self._volumes.get((week, channel, topic))
        mentions, before = volume.mentions if volume else 0, self._before(week, channel, topic)
        negative, neutral, positive = (volume.negative, volume.neutral, volume.positive) if volume else (0, 0, 0)
        return SummaryRow(
            organization=self._organization,
            iso_week=iso_week(week),
            week_start=week_start(week),
            week_end=week_end(week),
            channel=channel,
            topic=topic,
            mentions=mentions,
            authors=(volume.authors if volume else 0) if self._keeps_authors else None,
            negative=negative,
            neutral=neutral,
            positive=positive,
            unscored=volume.unscored if volume else 0,
            net_sentiment=net_sentiment(negative, neutral, positive),
            engagement=volume.engagement if volume else 0,
            mentions_previous_week=before,
            change=None if before is None else mentions - before,
            coverage=coverage,
            provisional=provisional,
            rebase=self._rebases.get(week),
        )

    def _before(self, week: int, channel: str, topic: str) -> int | None:
        if not self._is_comparable(week, channel):
            return None
        volume = self._volumes.get((week - 1, channel, topic))
        return volume.mentions if volume else 0

    def _is_comparable(self, week: int, channel: str) -> bool:
        """Tell whether the week before was read, and for ``all`` in every channel that was read in this week."""
        read_now = [one for one in self._channels if channel == ALL and self._reading.was_read(week, one)]
        return all(self._reading.was_read(week - 1, one) for one in (channel, *read_now))


def write_summaries(rows: Sequence[SummaryRow], output: Path | None = None) -> list[Path]:
    """Write the weekly CSV and return the files written, each whole or not at all.

    ``output`` is one file where its name ends with ``.csv``; without an ending it is a folder (default: the
    present one, made where only it is missing) that gets ``listener-weekly-<organization>-<ISO week>.csv`` for
    each week, and so is a folder that is there, whatever its name. Raises ``ConfigError`` for another ending,
    and naming the path that cannot be written.
    """
    output = output or Path()
    is_device = output.exists() and not output.is_file() and not output.is_dir()
    if output.suffix.lower() == ".csv" or is_device:
        _write(output, rows)
        return [output]
    if output.suffix and not output.is_dir():
        raise ConfigError(
            f"{output}: cannot tell the format from its name; end it with .csv, .json, .jsonl or .parquet, "
            "or name a folder (without an ending, or one that is there)"
        )
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write into {output}: {error.strerror}; choose another folder with -o"
        ) from error
    files: dict[Path, list[SummaryRow]] = {}
    for row in rows:
        name = f"listener-weekly-{row.organization}-{row.iso_week}.csv"
        files.setdefault(output / name, []).append(row)
    for path, its_rows in files.items():
        _write(path, its_rows)
    return list(files)


def _write(path: Path, rows: Iterable[SummaryRow]) -> None:
    write_file(path, (asdict(row) for row in rows), COLUMNS, "csv")
