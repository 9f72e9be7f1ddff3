"""The hints of purposes: phrases that tell what a mention is for (``config/purposes.toml``).

No single hint decides: each is a feature that the model of purposes has learnt to weigh.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import tomli

from listener.resources import config_file
from listener.signals.taxonomy import Taxonomy, Topic


@cache
def shipped_hints() -> Taxonomy:
    """Return the hints as a taxonomy, so that topics' phrases and hints are found by one matcher's code."""
    document = tomli.loads(config_file("purposes.toml").read_text(encoding="utf-8"))
    return Taxonomy(
        version=document["version"],
        topics=tuple(
            Topic(
                slug=hint["slug"],
                name=hint["slug"],
                group="hints",
                definition=hint["slug"],
                phrases=tuple(hint.get("phrases", ())),
                exclude=tuple(hint.get("exclude", ())),
                phrases_fr=tuple(hint.get("phrases_fr", ())),
                exclude_fr=tuple(hint.get("exclude_fr", ())),
            )
            for hint in document["hints"]
        ),
    )


_HINT = "hint:"
"""What a hint's slug begins with beside topics' slugs."""


def with_hints(taxonomy: Taxonomy) -> Taxonomy:
    """Return a taxonomy with the hints as topics of their own, to be found in the same pass over a text."""
    hints = [replace(hint, slug=f"{_HINT}{hint.slug}") for hint in shipped_hints().topics]
    return replace(taxonomy, topics=(*taxonomy.topics, *hints))


def hint_of(slug: str) -> str | None:
    """Return which hint a slug of :func:`with_hints` stands for; None if it is a topic."""
    return slug.removeprefix(_HINT) if slug.startswith(_HINT) else None
