"""The advisory locks of PostgreSQL that Listener takes, all of them: no two may be one. SQLite has one writer.

A room is the first of two keys (32 bits each), of which the second is the id of what is locked; the others are
one key (64 bits). PostgreSQL tells the two kinds apart.
"""

from enum import IntEnum, unique


@unique
class Room(IntEnum):
    """What is locked by its id."""

    CHANNEL = 7_041_777
    """Who writes mentions of a channel."""
    ORGANIZATION = 7_041_778
    """Who counts an organization's days."""


@unique
class Lock(IntEnum):
    """What is locked once for the whole store."""

    MIGRATION = 7_041_776_001
    """Who makes or upgrades the tables."""
    TOTALS = 7_041_776_003
    """Who sums the totals."""
    PARTITIONS = 7_041_776_004
    """Who makes partitions."""
    CHANGE = 7_041_778_001
    """Who writes down that another version hears."""
