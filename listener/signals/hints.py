"""The hints of purposes: phrases that tell what a mention is for (``config/purposes.toml``)."""

from __future__ import annotations

import tomllib
from functools import cache

from listener.resources import config_file
from listener.signals.taxonomy import Language, Taxonomy, Topic
from listener.signals.topics import TopicMatcher


@cache
def shipped_hints() -> Taxonomy:
    """Return the hints as a taxonomy, so that topics' phrases and hints are found by one matcher's code.

    No single hint decides: each is a feature that the model of purposes has learnt to weigh.
    """
    document = tomllib.loads(config_file("purposes.toml").read_text(encoding="utf-8"))
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


@cache
def hint_matcher(language: Language) -> TopicMatcher:
    """Return what finds the hints of one language in a text."""
    return TopicMatcher(shipped_hints(), language)
