"""``listener topics``: what is listened for, whether a taxonomy is sound, and why a text was tagged as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.cli import evaluate
from listener.cli.options import Output, Style
from listener.cli.output import View, print_table, write
from listener.cli.state import state_of
from listener.errors import ConfigError

if TYPE_CHECKING:
    from listener.signals.analysis import Signals, Vote
    from listener.signals.taxonomy import Taxonomy, Topic

app = typer.Typer(help="The topics mentions are tagged with.", no_args_is_help=True)

_OWN = "  (own)"
_LISTS = (
    ("Phrases", "phrases"),
    ("Excluded", "exclude"),
    ("French phrases", "phrases_fr"),
    ("Excluded in French", "exclude_fr"),
)


@app.command(name="list")
def list_topics(context: typer.Context, *, style: Style = None, output: Output = None) -> None:
    """List the topics of the taxonomy in force."""
    state = state_of(context)
    columns = ("slug", "group", "name", "phrases", "phrases_fr")
    rows = [
        {
            "slug": topic.slug,
            "group": topic.group,
            "name": topic.name,
            "phrases": len(topic.phrases),
            "phrases_fr": len(topic.phrases_fr),
        }
        for topic in state.taxonomy_or_shipped.topics
    ]
    write(state, rows, columns, style=style, output=output)


@app.command()
def show(
    context: typer.Context, slug: Annotated[str, typer.Argument(metavar="SLUG", help="The topic's slug.")]
) -> None:
    """Show one topic: its definition, where it stands in other frameworks, its phrases.

    What a file of your own added to the shipped taxonomy is marked (own).
    """
    from listener.settings import nearest

    state = state_of(context)
    taxonomy = state.taxonomy_or_shipped
    topic = next((topic for topic in taxonomy.topics if topic.slug == slug), None)
    if topic is None:
        if slug in taxonomy.off:
            raise ConfigError(f"the topic {slug!r} is switched off; take it out of off in the taxonomy's file")
        raise ConfigError(f"no topic {slug!r}{nearest(slug, taxonomy.slugs)}; `listener topics list` shows them")
    for line in _described(topic, taxonomy):
        state.out.print(line)


def _described(topic: Topic, taxonomy: Taxonomy) -> Iterator[str]:
    # In a taxonomy that stands by itself all is its own: no mark tells anything.
    marks = taxonomy.base is not None
    group = taxonomy.groups.get(topic.group, topic.group)
    yield f"{topic.slug}: {topic.name} ({group}; taxonomy {taxonomy.version}){_OWN if marks and topic.own else ''}"
    yield topic.definition
    for title, domains in (("HCAHPS", topic.hcahps), ("CPES-IC", topic.cpes), ("Picker", topic.picker)):
        if domains:
            yield f"{title}: {', '.join(domains)}"
    for title, key in _LISTS:
        if phrases := getattr(topic, key):
            yield f"{title}:"
            yield from (f"  {phrase}{_OWN if marks and _is_own(topic, key, phrase) else ''}" for phrase in phrases)


def _is_own(topic: Topic, key: str, phrase: str) -> bool:
    from listener.signals.phrases import normalize

    return key.startswith("phrases") and normalize(phrase) in topic.own_phrases


@app.command()
def validate(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A taxonomy file; default: the one in force.", show_default=False),
    ] = None,
) -> None:
    """Check a taxonomy; leaves with 2 and a line for each thing wrong.

    What is not wrong but worth a look is told on standard error: a phrase that stands in several topics, and one
    that a starred phrase of the same topic covers already. Of a file that extends the shipped taxonomy only its
    own phrases are looked at.
    """
    from listener.resources import config_file
    from listener.signals.topics import redundancies

    state = state_of(context)
    in_force = state.settings.topics_file if state.is_configured else None
    # Named, the shipped file is checked like any other.
    taxonomy = _load(file or in_force or config_file("topics.toml"))
    for line in redundancies(taxonomy):
        state.say(f"warning: {line}")
    name = file or in_force or "the shipped taxonomy"
    switched_off = f", {len(taxonomy.off)} switched off" if taxonomy.off else ""
    state.out.print(f"{name} is valid: version {taxonomy.version}, {len(taxonomy.topics)} topics{switched_off}")


@app.command()
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help='A taxonomy file, or "shipped".')],
    new: Annotated[str, typer.Argument(metavar="NEW", help='A taxonomy file, or "shipped".')],
    *,
    style: Style = None,
    output: Output = None,
) -> None:
    """Show how NEW differs from OLD: topics, their names, groups and definitions, phrases and crosswalks.

    Topics are added, gone, renamed, moved to another group, redefined, or switched off and on; a row of a topic's
    phrases, exclusions or crosswalks says what was taken out and what was added. Leaves with 0 either way.
    """
    from listener.signals.taxonomy import SHIPPED, differences

    state = state_of(context)
    before, after = (_load(None if name == SHIPPED else Path(name)) for name in (old, new))
    rows = [
        {"topic": one.topic, "what": one.change, "removed": one.removed, "added": one.added}
        for one in differences(before, after)
    ]
    columns = ("topic", "what", "removed", "added")
    write(state, rows, columns, style=style, output=output, view=View(columns, _joined))
    if not rows:
        state.say(f"no difference between {before.version} and {after.version}")


def _load(file: Path | None) -> Taxonomy:
    from listener.signals.taxonomy import Taxonomy

    if file is not None and not file.exists():
        raise ConfigError(f"no taxonomy at {file}: check its name")
    return Taxonomy.load(file)


def _joined(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: ", ".join(value) if isinstance(value, tuple) else value for key, value in row.items()}


@app.command()
def test(
    context: typer.Context, text: Annotated[str, typer.Argument(metavar="TEXT", help="Any text, in quotes.")]
) -> None:
    """Show what would be kept of a text, what is heard in it, and what speaks for each topic.

    A topic is given where the score, the model's probability, reaches what is needed; where the model does not
    judge, and of phrases from a file of your own, a phrase is enough. A topic with phrases that is not given was
    overruled: the words are there, and the model takes them to mean something else.
    """
    state = state_of(context)
    analyzer = evaluate.analyzer_of(state)
    redacted = analyzer.redact(text)
    state.out.print(f"text: {redacted}")
    for line in heard_lines(analyzer.analyze(redacted)):
        state.out.print(line)
    votes = analyzer.votes(redacted)
    if not any(vote.given for vote in votes):
        state.out.print("topics: none")
    if votes:
        print_table(state, *vote_table(votes))


def heard_lines(signals: Signals) -> Iterator[str]:
    """Yield what is heard in a text besides its topics; what is not heard at all is not told."""
    yield f"language: {signals.language or 'not recognized'}"
    if signals.purpose is not None:
        told = [_number(signals.purpose_score), "for review" if signals.needs_review else ""]
        yield f"purpose: {signals.purpose.value}{_in_brackets(told)}"
    if signals.sentiment is not None:
        parts = (("positive", signals.positive_part), ("negative", signals.negative_part))
        strong = ", ".join(f"{name} {_number(part)}" for name, part in parts if part is not None)
        told = [_number(signals.sentiment_score), strong]
        yield f"sentiment: {signals.sentiment.value}{_in_brackets(told)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _in_brackets(told: Sequence[str]) -> str:
    words = "; ".join(filter(None, told))
    return f" ({words})" if words else ""


def vote_table(votes: Iterable[Vote]) -> tuple[list[Mapping[str, Any]], Sequence[str]]:
    """Return the rows of the votes, topics that are given first, and the columns that say something."""
    rows: list[Mapping[str, Any]] = [
        {
            "topic": vote.slug,
            "given": vote.given,
            "score": vote.score,
            "needed": vote.threshold,
            "phrases": ", ".join(vote.phrases),
        }
        for vote in sorted(votes, key=lambda vote: (not vote.given, vote.slug))
    ]
    scored = any(row["score"] is not None for row in rows)
    return rows, ("topic", "given", *(("score", "needed") if scored else ()), "phrases")


evaluate.register(app)
