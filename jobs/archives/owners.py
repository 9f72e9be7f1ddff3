"""Whom a mention in an archive is about: who is named in it, wrote it, or has the place it was posted to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.hearing import account_name, account_names
from listener.names import NamePattern, fold

if TYPE_CHECKING:
    from jobs.archives.found import Found
    from listener.settings import OrganizationSettings


@dataclass(frozen=True, slots=True)
class _Owner:
    slug: str
    pattern: NamePattern | None
    called: frozenset[str]
    accounts: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, organization: OrganizationSettings) -> _Owner:
        return cls(
            organization.slug,
            NamePattern.of(organization.names),
            frozenset(map(fold, (organization.slug, *organization.names))),
            {channel: account_names(names) for channel, names in organization.own_accounts.items()},
        )

    def has(self, found: Found) -> bool:
        mention = found.mention
        if found.organization is not None:
            return fold(found.organization.strip()) in self.called
        author = mention.author
        names = (*found.places, *((author.id, author.handle) if author else ()))
        own = self.accounts.get(mention.channel, frozenset())
        if own and any(name is not None and account_name(name) in own for name in names):
            return True
        return self.pattern is not None and self.pattern.is_in(mention.text)


class Owners:
    """Tells which organizations a mention is for.

    Where ``forced`` is set everything is for that one. What the archive itself says it is of (a column, our own
    export) is for that organization alone. Else a mention is for each organization that one of its names stands in
    the text of, as a word of its own (:class:`listener.names.NamePattern`), that wrote it, or that it was posted
    to or under an account of.
    """

    def __init__(self, organizations: Sequence[OrganizationSettings], *, forced: str | None = None) -> None:
        self._owners = [_Owner.of(organization) for organization in organizations]
        self._forced = forced

    def of(self, found: Found) -> tuple[str, ...]:
        """Return the slugs of the organizations that ``found`` is for."""
        if self._forced is not None:
            return (self._forced,)
        return tuple(owner.slug for owner in self._owners if owner.has(found))


def searched_names(organizations: Iterable[OrganizationSettings], channels: Iterable[str]) -> Iterator[str]:
    """Yield what one of has to stand in a line that is for any of ``organizations``: names, and own accounts."""
    wanted = list(channels)
    for organization in organizations:
        yield from organization.names
        for channel in wanted:
            for account in organization.own_accounts.get(channel, ()):
                # Of "r/StElsewhere" a dump writes the name alone.
                yield account_name(account).removeprefix("r/")
