"""What a run takes from a platform, as numbers that add up."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Requests, quota units, searches, posts read and money (millionths of a US dollar, so it adds exactly)."""

    requests: int = 0
    quota_units: int = 0
    searches: int = 0
    posts_read: int = 0
    cost_microusd: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Usage)})

    def __sub__(self, other: Usage) -> Usage:
        return Usage(**{f.name: getattr(self, f.name) - getattr(other, f.name) for f in fields(Usage)})
