"""Which share of each week the streams of a channel really read, of one organization or of all together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from listener.calendar import week_of_day, week_span
from listener.signals.taxonomy import ALL
from storage import queries

if TYPE_CHECKING:
    from datetime import datetime

    from jobs.connections import Platforms
    from listener.settings import OrganizationSettings, Settings
    from storage.store import MentionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReading:
    """What one stream has read: seconds by week number, and the last moment (None: nothing yet).

    ``configured``: the configuration still has it. Its weeks are those of ``zone``, its organization's.
    """

    channel: str
    zone: ZoneInfo
    configured: bool
    seconds: Mapping[int, int]
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the streams of one organization have read, or of several, each in the weeks of its own time zone."""

    zones: Collection[ZoneInfo]
    streams: Sequence[StreamReading]

    def end(self, week: int) -> datetime:
        """Return when the week is over everywhere."""
        return max(week_span(week, zone)[1] for zone in self.zones)

    def coverage(self, week: int, channel: str) -> float:
        """Return the share of the week that was read, 0 to 1 to four places: the mean of the channel's streams.

        The channel ``all`` is the mean of every stream. A configured stream that did not read the week counts
        0, also where it was configured later; one that is no longer configured (its query was changed: that is
        another stream) counts where it has read. 0 where there is none.
        """
        shares = [
            self._share(stream, week)
            for stream in self._streams_of(channel)
            if stream.configured or week in stream.seconds
        ]
        return round(sum(shares) / len(shares), 4) if shares else 0.0

    def was_read(self, week: int, channel: str) -> bool:
        """Tell whether any stream of the channel read anything of the week."""
        return any(stream.seconds.get(week, 0) > 0 for stream in self._streams_of(channel))

    def is_behind(self, week: int, channel: str) -> bool:
        """Tell whether a stream has not read to the end of the week yet, so that more may come."""
        return any(
            stream.configured and (stream.last is None or stream.last < week_span(week, stream.zone)[1])
            for stream in self._streams_of(channel)
        )

    @staticmethod
    def _share(stream: StreamReading, week: int) -> float:
        start, end = week_span(week, stream.zone)
        return min(1.0, stream.seconds.get(week, 0) / (end - start).total_seconds())

    def _streams_of(self, channel: str) -> list[StreamReading]:
        return [stream for stream in self.streams if channel in (ALL, stream.channel)]


def readings(
    settings: Settings,
    store: MentionStore,
    organization: OrganizationSettings | None,
    weeks: Collection[int],
    platforms: Platforms,
) -> Reading:
    """Return what the streams of ``organization`` (None: of all) have read of ``weeks``; raises ``StoreError``.

    Two reads, however many streams there are.
    """
    slug = organization.slug if organization else None
    stored = queries.stream_rows(store, organization=slug)
    seconds: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for day in queries.coverage_days(
        store, organization=slug, first_day=min(weeks) * 7 - 3, last_day=max(weeks) * 7 + 3
    ):
        seconds[day.stream_id][week_of_day(day.day)] += day.covered_seconds
    places = {(row.organization, row.channel, row.key): row for row in stored}
    zones = {one.slug: one.zone for one in ([organization] if organization else settings.organizations)}
    streams = []
    for stream, _ in platforms.streams(settings):
        if stream.organization not in zones:
            continue
        row = places.pop((stream.organization, stream.channel, stream.key), None)
        streams.append(
            StreamReading(
                channel=stream.channel,
                zone=zones[stream.organization],
                configured=True,
                seconds=seconds.get(row.id, {}) if row else {},
                last=row.read_until if row else None,
            )
        )
    streams.extend(
        StreamReading(
            channel=former.channel,
            zone=zones.get(former.organization) or ZoneInfo(former.timezone),
            configured=False,
            seconds=seconds[former.id],
            last=None,
        )
        for former in places.values()
        if former.id in seconds
    )
    return Reading(set(zones.values()), streams)
