"""Which share of each week the streams of a channel really read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from listener.calendar import week_of_day, week_span
from listener.signals.taxonomy import ALL
from storage import queries

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from jobs.connections import Platforms
    from listener.settings import OrganizationSettings, Settings
    from storage.store import MentionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReading:
    """What one stream has read: seconds by week number, and the last moment (None: nothing yet).

    ``configured``: the configuration still has it.
    """

    channel: str
    configured: bool
    seconds: Mapping[int, int]
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the streams of one organization have read."""

    zone: ZoneInfo
    streams: Sequence[StreamReading]

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
        end = week_span(week, self.zone)[1]
        return any(
            stream.configured and (stream.last is None or stream.last < end)
            for stream in self._streams_of(channel)
        )

    def _share(self, stream: StreamReading, week: int) -> float:
        start, end = week_span(week, self.zone)
        return min(1.0, stream.seconds.get(week, 0) / (end - start).total_seconds())

    def _streams_of(self, channel: str) -> list[StreamReading]:
        return [stream for stream in self.streams if channel in (ALL, stream.channel)]


def readings(
    settings: Settings,
    store: MentionStore,
    organization: OrganizationSettings,
    weeks: Collection[int],
    platforms: Platforms,
) -> Reading:
    """Return what the streams of ``organization`` have read of ``weeks``; raises ``StoreError``."""
    seconds: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    channels: dict[int, str] = {}
    days = queries.coverage_days(
        store, organization=organization.slug, first_day=min(weeks) * 7 - 3, last_day=max(weeks) * 7 + 3
    )
    for day in days:
        channels[day.stream_id] = day.channel
        seconds[day.stream_id][week_of_day(day.day)] += day.covered_seconds
    streams = []
    for stream, _ in platforms.streams(settings):
        if stream.organization != organization.slug:
            continue
        state = store.find_stream(organization=organization.slug, channel=stream.channel, key=stream.key)
        spans = state.coverage.spans if state else ()
        streams.append(
            StreamReading(
                channel=stream.channel,
                configured=True,
                seconds=seconds.pop(state.id, {}) if state else {},
                last=spans[-1][1] if spans else None,
            )
        )
    streams.extend(
        StreamReading(channel=channels[former], configured=False, seconds=read, last=None)
        for former, read in seconds.items()
    )
    return Reading(organization.zone, streams)
