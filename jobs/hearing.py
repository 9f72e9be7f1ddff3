"""From what a platform said to what may be stored: redacted, heard, pseudonymised. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from listener.calendar import iso_week, local_day, week_of_day
from listener.signals.analysis import Analyzer, Signals
from listener.signals.pseudonym import pseudonym
from listener.signals.taxonomy import Taxonomy
from storage.records import Record, text_fingerprint

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from listener.mention import Author, Mention
    from listener.settings import AuthorKey, OrganizationSettings, Settings


class Hearer(Protocol):
    """What hears: :class:`listener.signals.analysis.Analyzer` is one."""

    @property
    def version(self) -> str:
        """The version of its taxonomy and models, which the store keeps beside what was heard."""
        ...

    def analyze_many(self, texts: Sequence[str], hints: Sequence[str | None]) -> list[Signals]:
        """Return the signals of redacted texts, with what is known of their languages."""
        ...


class RedactingHearer(Hearer, Protocol):
    """What redacts, too, as what comes from a platform has to be."""

    def redact(self, text: str) -> str:
        """Return ``text`` without what points at a person."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """How one organization's mentions of one channel are made ready for the store."""

    channel: str
    analyzer: RedactingHearer
    zone: ZoneInfo
    own_accounts: frozenset[str]
    author_key: AuthorKey
    author_secret: str | None
    derived_metrics: bool = True
    asked_at: datetime | None = None
    """As in :class:`storage.records.Record`."""

    def records(self, mentions: Sequence[Mention], known: Mapping[str, str]) -> list[Record]:
        """Return the mentions of a page as they may be stored, in their order.

        ``known`` maps the ids that the store has to the fingerprint of their text: an unchanged text is not
        heard again, and a tombstone keeps the signals it had.
        """
        kept = [self.redacted(mention) for mention in mentions]
        heard = hear(self.analyzer, kept, known, derived_metrics=self.derived_metrics)
        return [
            self._record(mention, redacted, signals)
            for mention, redacted, signals in zip(mentions, kept, heard, strict=True)
        ]

    def redacted(self, mention: Mention) -> Mention:
        """Return the mention without what its text has of people."""
        text = self.analyzer.redact(mention.text)
        return mention if text == mention.text else replace(mention, text=text)

    def _record(self, mention: Mention, redacted: Mention, signals: Signals | None) -> Record:
        day = local_day(mention.published_at, self.zone)
        return Record(
            mention=redacted,
            pseudonym=self._pseudonym(mention.author, day),
            own=is_own(mention.author, self.own_accounts),
            day=day,
            signals=signals,
            asked_at=self.asked_at,
        )

    def _pseudonym(self, author: Author | None, day: int) -> str | None:
        if author is None:
            return None
        week = iso_week(week_of_day(day))
        return pseudonym(self.author_secret, self.author_key, self.channel, author.id, week)


def hear(
    analyzer: Hearer, redacted: Sequence[Mention], known: Mapping[str, str], *, derived_metrics: bool
) -> list[Signals | None]:
    """Return the signals of redacted mentions, all in one go; None of those that are known (:func:`is_known`).

    Where a platform forbids more (no ``derived_metrics``) the language is all that is kept.
    """
    new = [number for number, mention in enumerate(redacted) if not is_known(mention, known)]
    found = analyzer.analyze_many(
        [redacted[number].text for number in new], [redacted[number].language for number in new]
    )
    heard: list[Signals | None] = [None] * len(redacted)
    for number, signals in zip(new, found, strict=True):
        heard[number] = signals if derived_metrics else Signals(language=signals.language, version=signals.version)
    return heard


def is_known(redacted: Mention, known: Mapping[str, str]) -> bool:
    """Tell whether the store has this mention with this very text, or has it and now gets a tombstone."""
    fingerprint = known.get(redacted.external_id)
    if fingerprint is None:
        return False
    return redacted.removed_at is not None or fingerprint == text_fingerprint(redacted.text)


def account_name(account: str) -> str:
    """Return an account's id or handle as it is compared: any case, with or without ``@`` or ``u/``."""
    return account.strip().casefold().removeprefix("@").removeprefix("/").removeprefix("u/")


def account_names(accounts: Iterable[str]) -> frozenset[str]:
    """Return several accounts as they are compared."""
    return frozenset(account_name(account) for account in accounts)


def is_own(author: Author | None, own_accounts: frozenset[str]) -> bool:
    """Tell whether the organization wrote it: the author's id or handle is one of its accounts."""
    if author is None or not own_accounts:
        return False
    return any(name is not None and account_name(name) in own_accounts for name in (author.id, author.handle))


def analyzer_for(settings: Settings, taxonomy: Taxonomy) -> Analyzer:
    """Return the one analyzer of an installation: it leaves the handles of every organization as they are.

    One for all, because a mention may be of two organizations: were each to redact the other's handle, its
    text would change with every pull.
    """
    return _analyzer(taxonomy, tuple(own_handles(settings.organizations)))


@lru_cache(maxsize=4)
def _analyzer(taxonomy: Taxonomy, handles: tuple[str, ...]) -> Analyzer:
    """Return the analyzer, the same one for every pull: to make ready its phrases takes half a second."""
    return Analyzer(taxonomy, handles)


def own_handles(organizations: Iterable[OrganizationSettings]) -> list[str]:
    """Return the handles that redaction leaves alone: names that begin with ``@``, and every own account."""
    handles: dict[str, None] = {}
    for organization in organizations:
        handles.update(dict.fromkeys(name for name in organization.names if name.startswith("@")))
        for accounts in organization.own_accounts.values():
            handles.update(dict.fromkeys(accounts))
    return list(handles)
