"""The taxonomy: the subjects of patient experience that are counted, as its files write them.

The shipped one is ``config/topics.toml``. A hospital's own file stands by itself, or builds upon ours
(``extends = "shipped"``): it switches topics off, changes ours, adds its own, and gets what later versions of ours
bring. How a phrase is written is told in :mod:`listener.signals.phrases`; :mod:`listener.signals.topics` matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import tomli
from pydantic import AfterValidator, Field, field_validator

from listener.errors import ConfigError
from listener.resources import config_file
from listener.settings import Section, nearest, parse
from listener.signals.phrases import PhraseError, normalize, parse_phrase

ALL = "all"
UNTAGGED = "(untagged)"
RESERVED_SLUGS = frozenset({ALL, UNTAGGED})
SHIPPED = "shipped"

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

HcahpsDomain = Literal[
    "nurses",
    "doctors",
    "responsiveness",
    "restfulness",
    "cleanliness",
    "medicines",
    "symptoms",
    "coordination",
    "discharge",
    "overall",
    "recommend",
]
CpesDomain = Literal[
    "admission",
    "communication",
    "involvement",
    "coordination",
    "discharge",
    "overall",
    "environment",
    "pain",
    "medicines",
    "emotional-support",
]
PickerPrinciple = Literal[
    "fast-access",
    "effective-treatment",
    "continuity",
    "involvement",
    "information",
    "physical-needs",
    "emotional-support",
    "family",
]
HCAHPS_DOMAINS: tuple[str, ...] = get_args(HcahpsDomain)
CPES_DOMAINS: tuple[str, ...] = get_args(CpesDomain)
PICKER_PRINCIPLES: tuple[str, ...] = get_args(PickerPrinciple)

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PHRASE_LISTS = ("phrases", "exclude", "phrases_fr", "exclude_fr")
_CROSSWALKS = ("hcahps", "cpes", "picker")
_REPLACEABLE = ("name", "group", "definition", *_CROSSWALKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One subject of patient experience: what it means, and the phrases that tell it.

    ``exclude`` are phrases that take away every match they overlap ("can't wait to" is no waiting time);
    ``phrases_fr`` and ``exclude_fr`` are the French ones. ``hcahps`` (USA, 2025 form), ``cpes`` (CIHI's CPES-IC,
    Canada) and ``picker`` (Picker's principles) name what asks about the same subject there.

    ``own`` is a topic that is not shipped. ``own_phrases`` are the phrases, normalised, that a hospital's own file
    added to one of ours, and all of a topic of its own.
    """

    slug: str
    name: str
    group: str
    definition: str
    phrases: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    phrases_fr: tuple[str, ...] = ()
    exclude_fr: tuple[str, ...] = ()
    hcahps: tuple[str, ...] = ()
    cpes: tuple[str, ...] = ()
    picker: tuple[str, ...] = ()
    own_phrases: frozenset[str] = frozenset()
    own: bool = False

    def phrases_in(self, language: Language) -> tuple[str, ...]:
        """Return the phrases of one language."""
        return self.phrases if language == "en" else self.phrases_fr

    def exclude_in(self, language: Language) -> tuple[str, ...]:
        """Return one language's phrases that take matches away."""
        return self.exclude if language == "en" else self.exclude_fr


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The topics a mention can have, under one ``version`` that the store keeps beside what it tagged.

    ``groups`` are the categories, slug to name, in order. Of a hospital's own file ``off`` are the shipped topics
    that it switched off, and ``base`` is the version of ours that it builds upon. ``extends_shipped`` is True of
    ours and of a file that builds upon it: only there do the trained models know what the topics mean.
    """

    version: str
    topics: tuple[Topic, ...]
    groups: Mapping[str, str] = field(default_factory=dict, hash=False)
    off: tuple[str, ...] = ()
    base: str | None = None
    extends_shipped: bool = False

    @classmethod
    def load(cls, path: Path | None = None) -> Taxonomy:
        """Read the taxonomy file ``path``, or the shipped one, whose phrases are not checked each time anew.

        The version of a file that builds upon ours is ``"<ours>+<its own>"``: a change of either shows.
        Raises ``ConfigError`` with a line for each thing wrong, naming the file, the key, its value and the fix.
        """
        shipped = config_file("topics.toml")
        if path is None:
            return _shipped(shipped, _stamp(shipped))
        return _own(path, (_stamp(path), _stamp(shipped)), is_ours=path.resolve() == shipped.resolve())

    @property
    def slugs(self) -> tuple[str, ...]:
        """The slugs of the topics, in the file's order."""
        return tuple(topic.slug for topic in self.topics)


# --- the file's tables


def _well_formed(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError('use lower-case letters, digits and single hyphens, such as "waiting-times"')
    return value


_Words = Annotated[str, Field(min_length=1)]
_Slug = Annotated[str, AfterValidator(_well_formed)]


class _FileTable(Section):
    """The whole file; its topics are read one by one, each as what it is."""

    version: _Words
    extends: Literal["shipped"] | None = None
    off: tuple[str, ...] = ()
    groups: dict[_Slug, _Words] | None = None
    topics: tuple[dict[str, Any], ...] = ()


class _PhraseTable(Section):
    """What every ``[[topics]]`` table may have."""

    phrases: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    phrases_fr: tuple[str, ...] = ()
    exclude_fr: tuple[str, ...] = ()


class _TopicTable(_PhraseTable):
    """A ``[[topics]]`` table that says all of a topic."""

    slug: _Slug
    name: _Words
    group: _Words
    definition: _Words
    hcahps: tuple[HcahpsDomain, ...] = ()
    cpes: tuple[CpesDomain, ...] = ()
    picker: tuple[PickerPrinciple, ...] = ()

    @field_validator("slug")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value in RESERVED_SLUGS:
            raise ValueError("is reserved for the counts of every mention and of untagged ones; choose another")
        return value


class _ChangeTable(_PhraseTable):
    """A ``[[topics]]`` table that changes one of ours: what it names is replaced, its phrases are added."""

    slug: str
    name: _Words | None = None
    group: _Words | None = None
    definition: _Words | None = None
    hcahps: tuple[HcahpsDomain, ...] | None = None
    cpes: tuple[CpesDomain, ...] | None = None
    picker: tuple[PickerPrinciple, ...] | None = None
    without: tuple[str, ...] = ()


def _first_repeated(words: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for word in words:
        if word in seen:
            return word
        seen.add(word)
    return None


# --- reading

_Table = TypeVar("_Table", bound=Section)


_Stamp = tuple[int, int] | None
"""When a file was written and how long it is, None of one that is not there: it changes with what stands in it."""


def _stamp(file: Path) -> _Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


# Every pull asks for it: a file is read once, as long as it was not written anew.
@lru_cache(maxsize=4)
def _own(file: Path, _stamps: tuple[_Stamp, _Stamp], *, is_ours: bool) -> Taxonomy:
    return _Reading(file, own=not is_ours, trusted=False).taxonomy()


@lru_cache(maxsize=1)
def _shipped(file: Path, _stamps: _Stamp) -> Taxonomy:
    return _Reading(file, own=False, trusted=True).taxonomy()


class _Reading:
    """One file being read. What is wrong is gathered, so that a person can mend it all in one go."""

    def __init__(self, file: Path, *, own: bool, trusted: bool) -> None:
        self._file = file
        self._own = own
        # To compile thousands of phrases takes seconds, and the shipped file is sound.
        self._trusted = trusted
        self._problems: list[str] = []

    def taxonomy(self) -> Taxonomy:
        """Return what the file says; raises ``ConfigError`` with a line for each thing wrong."""
        document = self._document()
        head = self._table(_FileTable, document)
        base = Taxonomy.load() if self._own and document.get("extends") == SHIPPED else None
        written = document.get("topics", [])
        tables = [table for table in written if isinstance(table, dict)] if isinstance(written, list) else []
        self._check_slugs(table.get("slug") for table in tables)
        topics = self._topics(tables, base)
        if head is not None:
            self._check_head(head, base, tables)
            groups = self._groups(head, base, topics)
            found = self._taxonomy(head, base, topics, groups)
        if self._problems:
            raise ConfigError("\n".join(self._problems))
        return found

    def _document(self) -> dict[str, Any]:
        try:
            # Editors on Windows put a byte order mark in front, which TOML does not allow.
            return tomli.loads(self._file.read_text(encoding="utf-8-sig"))
        except FileNotFoundError as error:
            raise ConfigError(f"no taxonomy at {self._file}: correct topics.file, or leave it out") from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._file} cannot be read: {error}") from error
        except tomli.TOMLDecodeError as error:
            raise ConfigError(f"{self._file} is not valid TOML: {error}") from error

    def _wrong(self, problem: str) -> None:
        self._problems.append(f"{self._file}: {problem}")

    def _table(self, model: type[_Table], values: Mapping[str, Any], prefix: str = "") -> _Table | None:
        try:
            return parse(model, values, origin=str(self._file), prefix=prefix)
        except ConfigError as error:
            self._problems.append(str(error))
            return None

    def _check_slugs(self, slugs: Iterable[Any]) -> None:
        if twice := _first_repeated(slug for slug in slugs if isinstance(slug, str)):
            self._wrong(f"topics: two topics have the slug {twice!r}; each needs its own")

    def _check_head(self, head: _FileTable, base: Taxonomy | None, tables: list[dict[str, Any]]) -> None:
        if base is None and not head.topics:
            self._wrong("topics = []: a taxonomy needs at least one [[topics]]")
        if base is None and head.extends:
            self._wrong(
                f"extends = {head.extends!r}: this is the shipped file itself; only a file of your own extends it"
            )
        if base is None and head.off:
            self._wrong(f'off = {list(head.off)!r}: only with extends = "shipped"; else leave the topics out')
        for place, slug in enumerate(head.off if base else ()):
            if base and slug not in base.slugs:
                self._wrong(f"off[{place}] = {slug!r}: no topic of ours{nearest(slug, base.slugs)}")
        if base and not {*base.slugs, *(table.get("slug") for table in tables)} - set(head.off):
            self._wrong("off: no topic is left; leave one on")

    def _topics(self, tables: list[dict[str, Any]], base: Taxonomy | None) -> dict[str, tuple[int, Topic]]:
        """Return the topics that the file itself writes, by slug, each with its place in it; ours as changed."""
        ours = {topic.slug: topic for topic in base.topics} if base else {}
        found: dict[str, tuple[int, Topic]] = {}
        for place, table in enumerate(tables):
            changed = ours.get(table["slug"]) if isinstance(table.get("slug"), str) else None
            topic = self._changed(table, place, changed) if changed else self._new(table, place, base)
            if topic:
                found[topic.slug] = (place, topic)
        return found

    def _new(self, values: dict[str, Any], place: int, base: Taxonomy | None) -> Topic | None:
        slug = values.get("slug")
        if base and isinstance(slug, str) and not {"name", "group", "definition"} & values.keys():
            # Whoever gives none of these meant one of ours.
            self._wrong(
                f"topics[{place}].slug = {slug!r}: no topic of ours{nearest(slug, base.slugs)}; a topic of your "
                "own needs name, group, definition and phrases"
            )
            return None
        table = self._table(_TopicTable, values, prefix=f"topics[{place}].")
        if table is None:
            return None
        self._check_phrases(table, place)
        if not table.phrases and not table.phrases_fr:
            self._wrong(
                f"topics[{place}].phrases = []: {table.slug!r} needs at least one of phrases and phrases_fr"
            )
            return None
        own_phrases = frozenset(map(normalize, (*table.phrases, *table.phrases_fr)))
        return Topic(**table.model_dump(), own=self._own, own_phrases=own_phrases if self._own else frozenset())

    def _changed(self, values: dict[str, Any], place: int, topic: Topic) -> Topic | None:
        table = self._table(_ChangeTable, values, prefix=f"topics[{place}].")
        if table is None:
            return None
        self._check_phrases(table, place)
        self._check_without(table, place, topic)
        out = frozenset(map(normalize, table.without))
        after: dict[str, Any] = {
            key: _merged(getattr(topic, key), getattr(table, key), out) for key in _PHRASE_LISTS
        }
        if not after["phrases"] and not after["phrases_fr"]:
            fix = f"off = [{topic.slug!r}] switches it off"
            self._wrong(f"topics[{place}].without: no phrase of {topic.slug!r} is left; {fix}")
        after |= {key: value for key in _REPLACEABLE if (value := getattr(table, key)) is not None}
        own_phrases = frozenset(map(normalize, (*table.phrases, *table.phrases_fr)))
        return replace(topic, **after, own_phrases=own_phrases)

    def _check_phrases(self, table: _PhraseTable, place: int) -> None:
        for key in () if self._trusted else _PHRASE_LISTS:
            first: dict[str, str] = {}
            for number, phrase in enumerate(getattr(table, key)):
                form = normalize(phrase)
                problem = _problem_of(phrase)
                if form in first:
                    problem = f"stands there already as {first[form]!r}; take one out"
                if problem:
                    self._wrong(f"topics[{place}].{key}[{number}] = {phrase!r}: {problem}")
                first.setdefault(form, phrase)

    def _check_without(self, table: _ChangeTable, place: int, topic: Topic) -> None:
        known = {normalize(phrase): phrase for key in _PHRASE_LISTS for phrase in getattr(topic, key)}
        for number, phrase in enumerate(table.without):
            if normalize(phrase) not in known:
                guess = nearest(phrase, known.values())
                self._wrong(
                    f"topics[{place}].without[{number}] = {phrase!r}: {topic.slug!r} has no such phrase{guess}"
                )

    def _groups(
        self, head: _FileTable, base: Taxonomy | None, topics: Mapping[str, tuple[int, Topic]]
    ) -> Mapping[str, str]:
        if head.groups is None and base is None:
            self._wrong(
                'groups is missing: name every category of the topics in [groups], such as staff = "Staff"'
            )
            return {}
        groups = {**(base.groups if base else {}), **(head.groups or {})}
        for place, topic in topics.values():
            if topic.group not in groups:
                guess = nearest(topic.group, groups)
                self._wrong(f"topics[{place}].group = {topic.group!r}: not in [groups]{guess}; name it there")
        return groups

    def _taxonomy(
        self,
        head: _FileTable,
        base: Taxonomy | None,
        topics: Mapping[str, tuple[int, Topic]],
        groups: Mapping[str, str],
    ) -> Taxonomy:
        written = {slug: topic for slug, (_, topic) in topics.items()}
        if base is None:
            return Taxonomy(head.version, tuple(written.values()), groups, extends_shipped=not self._own)
        together = {topic.slug: topic for topic in base.topics} | written
        return Taxonomy(
            f"{base.version}+{head.version}",
            tuple(topic for slug, topic in together.items() if slug not in head.off),
            groups,
            off=head.off,
            base=base.version,
            extends_shipped=True,
        )


def _problem_of(phrase: str) -> str | None:
    try:
        parse_phrase(phrase)
    except PhraseError as error:
        return str(error)
    return None


def _merged(ours: tuple[str, ...], added: tuple[str, ...], out: frozenset[str]) -> tuple[str, ...]:
    """Return our phrases without ``out``, then those that were added; one that is ours already stands once."""
    by_form = {normalize(phrase): phrase for phrase in ours if normalize(phrase) not in out}
    for phrase in added:
        by_form.setdefault(normalize(phrase), phrase)
    return tuple(by_form.values())


# --- comparing


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which a topic differs between two taxonomies: what went and what came, names or whole lists."""

    topic: str
    change: str
    removed: str | tuple[str, ...] | None = None
    added: str | tuple[str, ...] | None = None


def differences(old: Taxonomy, new: Taxonomy) -> Iterator[Change]:
    """Yield how ``new`` differs from ``old``, topic by topic in the order of ``old``, what is added last.

    A phrase that is only written differently (case, hyphen, kind of apostrophe) is the same one.
    """
    before = {topic.slug: topic for topic in old.topics}
    after = {topic.slug: topic for topic in new.topics}
    for slug, topic in before.items():
        if slug in after:
            yield from _differences_of(topic, after[slug])
        else:
            yield Change(slug, "switched off" if slug in new.off else "gone", removed=topic.name)
    for slug, topic in after.items():
        if slug not in before:
            yield Change(slug, "switched on" if slug in old.off else "added", added=topic.name)


def _differences_of(old: Topic, new: Topic) -> Iterator[Change]:
    for key, change in (("name", "renamed"), ("group", "moved"), ("definition", "redefined")):
        was, is_now = getattr(old, key), getattr(new, key)
        if was != is_now:
            yield Change(old.slug, change, was, is_now)
    for key in (*_PHRASE_LISTS, *_CROSSWALKS):
        was, is_now = getattr(old, key), getattr(new, key)
        removed, added = _only_in(was, is_now), _only_in(is_now, was)
        if removed or added:
            yield Change(old.slug, key, removed, added)


def _only_in(words: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    known = set(map(normalize, others))
    return tuple(word for word in words if normalize(word) not in known)
