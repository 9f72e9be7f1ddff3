"""From what was found in an archive to what may be stored: redacted, and heard where nobody has heard it so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.hearing import Hearing, account_names, is_known
from listener.calendar import local_day
from listener.signals.analysis import Signals
from storage.corrected import Part
from storage.correcting import Correction, Name
from storage.records import Record, text_fingerprint

if TYPE_CHECKING:
    from jobs.archives.found import Found
    from jobs.archives.kept import Owner
    from jobs.hearing import RedactingHearer
    from listener.mention import Mention
    from listener.settings import Settings

_BEFORE_ANY = datetime.min.replace(tzinfo=UTC)
"""When what stands in a file was asked for: before any tombstone. Only a platform itself shows a post again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Makes records. ``platforms`` are the channels that a connector reads; their copies here are an archive's."""

    settings: Settings
    analyzer: RedactingHearer
    allows_derived: Callable[[str], bool]
    platforms: Collection[str]
    _hearings: dict[Owner, Hearing] = field(default_factory=dict)

    def of(self, owner: Owner, found: Sequence[Found], known: Mapping[str, str]) -> list[Record]:
        """Return what was found as it may be stored, heard where nobody has heard it as the present models do."""
        slug, channel = owner
        hearing = self._hearing(slug, channel)
        anew = [one for one in found if not self._is_carried(one)]
        carried = [one for one in found if self._is_carried(one)]
        records = [
            *zip(anew, hearing.records([one.mention for one in anew], known), strict=True),
            *((one, self._carried(one, hearing, known)) for one in carried),
        ]
        is_platform = channel in self.platforms
        return [
            replace(
                record,
                archived=is_platform,
                asked_at=_BEFORE_ANY,
                own=one.heard.own if one.heard else record.own,
            )
            for one, record in records
        ]

    def unheard(
        self, owner: Owner, found: Sequence[Found], known: Mapping[str, str]
    ) -> Iterator[tuple[str, Mention]]:
        """Yield what :meth:`of` would have heard: the text as it came, and the redacted mention."""
        hearing = self._hearing(*owner)
        for one in found:
            if not self._is_carried(one):
                redacted = hearing.redacted(one.mention)
                if not is_known(redacted, known):
                    yield one.mention.text, redacted

    def _is_carried(self, found: Found) -> bool:
        """Tell whether what an export says was heard is kept: it would be heard otherwise, or not at all."""
        heard = found.heard
        return heard is not None and (
            bool(heard.corrected)
            or found.mention.removed_at is not None
            or heard.signals.version != self.analyzer.version
        )

    @staticmethod
    def _carried(found: Found, hearing: Hearing, known: Mapping[str, str]) -> Record:
        assert found.heard is not None  # noqa: S101 - _is_carried has looked
        mention = replace(found.mention, text=hearing.analyzer.redact(found.mention.text))
        signals = found.heard.signals
        if not hearing.derived_metrics:
            signals = Signals(language=signals.language, version=signals.version)
        return Record(
            mention=mention,
            pseudonym=None,
            own=found.heard.own,
            day=local_day(mention.published_at, hearing.zone),
            signals=None if is_known(mention, known) else signals,
        )

    def _hearing(self, slug: str, channel: str) -> Hearing:
        if (slug, channel) not in self._hearings:
            organization, secret = self.settings.organization(slug), self.settings.author_secret
            self._hearings[slug, channel] = Hearing(
                channel=channel,
                analyzer=self.analyzer,
                zone=organization.zone,
                own_accounts=account_names(organization.own_accounts.get(channel, ())),
                author_key=self.settings.privacy.author_key,
                author_secret=secret.get_secret_value() if secret else None,
                derived_metrics=self.allows_derived(channel),
            )
        return self._hearings[slug, channel]


def corrections_in(found: Sequence[Found], redact: Callable[[str], str]) -> dict[tuple[Name, str], Correction]:
    """Return what a person had said of these where they were exported, by name and the fingerprint of the text."""
    corrections: dict[tuple[Name, str], Correction] = {}
    for one in found:
        if one.heard is None or not one.heard.corrected:
            continue
        signals, parts = one.heard.signals, one.heard.corrected
        name = Name(one.mention.channel, one.mention.external_id)
        corrections[name, text_fingerprint(redact(one.mention.text))] = Correction(
            purpose=signals.purpose if Part.PURPOSE in parts else None,
            sentiment=signals.sentiment if Part.SENTIMENT in parts else None,
            topics=frozenset(hit.slug for hit in signals.topics) if Part.TOPICS in parts else None,
        )
    return corrections
