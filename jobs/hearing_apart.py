"""Hearing in another process, of this machine or of a cluster: redacted texts go there, signals come back.

No more than that travels: what points at people has been taken out before, and no secret is needed to hear.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from listener.collecting import collect_rarely
from listener.errors import ConfigError
from listener.signals.analysis import Analyzer, Signals
from listener.signals.models import models_version
from listener.signals.taxonomy import Taxonomy

Line = tuple[str, str | None]
"""A redacted text, and what is known of its language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Texts to be heard apart; shown (in a log, on a dashboard) it tells its ``label`` alone.

    ``version`` is that of the analyzer that the signals must be of; ``taxonomy`` is None for the shipped one,
    which is there already.
    """

    label: str
    version: str = field(repr=False)
    taxonomy: Taxonomy | None = field(repr=False)
    lines: tuple[Line, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dictation:
    """Makes texts ready to be heard apart as ``taxonomy`` and the models of this process would hear them."""

    taxonomy: Taxonomy

    def of(self, label: str, lines: tuple[Line, ...]) -> Texts:
        """Return the task to hear these."""
        own = None if self.taxonomy == Taxonomy.load() else self.taxonomy
        return Texts(label=label, version=version_of(self.taxonomy), taxonomy=own, lines=lines)


def version_of(taxonomy: Taxonomy) -> str:
    """Return the version that the signals of an analyzer of ``taxonomy`` have."""
    return f"{taxonomy.version}/{models_version()}"


def hear_texts(task: Texts) -> list[Signals]:
    """Hear texts; raises ``ConfigError`` where this process would hear them otherwise than who asks."""
    analyzer = _analyzer(task.taxonomy)
    if analyzer.version != task.version:
        raise ConfigError(
            f"a worker hears as {analyzer.version}, this command as {task.version}: install the same version of "
            "Listener on both"
        )
    return analyzer.analyze_many([text for text, _ in task.lines], [hint for _, hint in task.lines])


@lru_cache(maxsize=2)
def _analyzer(taxonomy: Taxonomy | None) -> Analyzer:
    collect_rarely()
    return Analyzer(taxonomy or Taxonomy.load())
