"""From what a platform said to what may be stored: redacted, heard, pseudonymised. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from listener.calendar import iso_week, local_day, week_of_day
from listener.signals.analysis import Analyzer, Signals
from listener.signals.pseudonym import pseudonym
from listener.signals.topics import Taxonomy
from storage.records import Record, text_fingerprint

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from listener.mention import Author, Mention
    from listener.settings import AuthorKey, OrganizationSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """How one organization's mentions of one channel are made ready for the store."""

    channel: str
    analyzer: Analyzer
    zone: ZoneInfo
    own_accounts: frozenset[str]
    author_key: AuthorKey
    author_secret: str | None
    derived_metrics: bool = True

    def record(self, mention: Mention, known: Mapping[str, str]) -> Record:
        """Return ``mention`` as it may be stored.

        ``known`` maps the ids that the store has to the fingerprint of their text: an unchanged text is not
        heard again, and a tombstone keeps the signals it had.
        """
        kept = replace(mention, text=self.analyzer.redact(mention.text))
        day = local_day(mention.published_at, self.zone)
        return Record(
            mention=kept,
            pseudonym=self._pseudonym(mention.author, day),
            own=is_own(mention.author, self.own_accounts),
            day=day,
            signals=None if is_known(kept, known) else self.signals(kept),
        )

    def signals(self, redacted: Mention) -> Signals:
        """Return what is heard in a redacted mention; the language alone where a platform forbids more."""
        return hear(self.analyzer, redacted, derived_metrics=self.derived_metrics)

    def _pseudonym(self, author: Author | None, day: int) -> str | None:
        if author is None:
            return None
        week = iso_week(week_of_day(day))
        return pseudonym(self.author_secret, self.author_key, self.channel, author.id, week)


def hear(analyzer: Analyzer, redacted: Mention, *, derived_metrics: bool) -> Signals:
    """Return the signals of a redacted mention; without ``derived_metrics`` its language is all that is kept."""
    signals = analyzer.analyze(redacted.text, language_hint=redacted.language)
    return signals if derived_metrics else Signals(language=signals.language)


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
    if author is None:
        return False
    return any(name is not None and account_name(name) in own_accounts for name in (author.id, author.handle))


def analyzer_for(settings: Settings, taxonomy: Taxonomy) -> Analyzer:
    """Return the one analyzer of an installation: it leaves the handles of every organization as they are.

    One for all, because a mention may be of two organizations: were each to redact the other's handle, its
    text would change with every pull.
    """
    return Analyzer(taxonomy, own_handles(settings.organizations))


def own_handles(organizations: Iterable[OrganizationSettings]) -> list[str]:
    """Return the handles that redaction leaves alone: names that begin with ``@``, and every own account."""
    handles: dict[str, None] = {}
    for organization in organizations:
        handles.update(dict.fromkeys(name for name in organization.names if name.startswith("@")))
        for accounts in organization.own_accounts.values():
            handles.update(dict.fromkeys(accounts))
    return list(handles)
