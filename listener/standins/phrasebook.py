"""The sentences that the stand-ins' people write, and what each of them is about.

English stands in ``phrases.toml``, French in ``phrases_fr.toml`` of the same shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import tomli

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = ("en", "fr")
Form = Literal["praise", "complaint", "question", "news"]
FORMS: tuple[Form, ...] = ("praise", "complaint", "question", "news")
_FILES: Mapping[Language, str] = {"en": "phrases.toml", "fr": "phrases_fr.toml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSentences:
    """What people say of one topic: sentences with ``{slots}``, and its share among the topics as ``weight``."""

    weight: int
    praise: tuple[str, ...]
    complaint: tuple[str, ...]
    question: tuple[str, ...]
    news: tuple[str, ...]

    def of(self, form: Form) -> tuple[str, ...]:
        """Return the sentences of one form; there may be none."""
        sentences: tuple[str, ...] = getattr(self, form)
        return sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrasebook:
    """All sentences: those of a topic by its slug, the others by table and key, and what fills the slots."""

    topics: Mapping[str, TopicSentences]
    plain: Mapping[str, Mapping[str, tuple[str, ...]]]
    slots: Mapping[str, tuple[str, ...]]

    def with_form(self, form: Form) -> dict[str, int]:
        """Return the topics that have sentences of ``form``, with their weights."""
        return {slug: topic.weight for slug, topic in self.topics.items() if topic.of(form)}

    def sentences(self) -> Iterator[tuple[str, str | None]]:
        """Yield every sentence with the one topic it speaks of, or None."""
        for slug, topic in self.topics.items():
            for form in FORMS:
                for sentence in topic.of(form):
                    yield sentence, slug
        for table in self.plain.values():
            for sentences in table.values():
                for sentence in sentences:
                    yield sentence, None


@cache
def load(language: Language = "en") -> Phrasebook:
    """Read the phrasebook of a language, which lies beside this module."""
    document = tomli.loads(Path(__file__).with_name(_FILES[language]).read_text(encoding="utf-8"))
    slots = {name: tuple(values) for name, values in document.pop("slots").items()}
    topics = {
        slug: TopicSentences(weight=table["weight"], **{form: tuple(table[form]) for form in FORMS})
        for slug, table in document.pop("topics").items()
    }
    plain = {
        name: {key: (value,) if isinstance(value, str) else tuple(value) for key, value in table.items()}
        for name, table in document.items()
    }
    return Phrasebook(topics=topics, plain=plain, slots=slots)
