"""``listener topics``: what is listened for, and why a text was tagged as it was."""

from __future__ import annotations

from typing import Annotated

import typer

from listener.cli.options import Output, Style
from listener.cli.output import print_table, write
from listener.cli.state import state_of
from listener.errors import ConfigError

app = typer.Typer(help="The topics mentions are tagged with.", no_args_is_help=True)


@app.command(name="list")
def list_topics(context: typer.Context, *, style: Style = None, output: Output = None) -> None:
    """List the topics of the taxonomy in force."""
    state = state_of(context)
    rows = [
        {"slug": topic.slug, "group": topic.group, "name": topic.name, "phrases": len(topic.phrases)}
        for topic in state.taxonomy_or_shipped.topics
    ]
    write(state, rows, ("slug", "group", "name", "phrases"), style=style, output=output)


@app.command()
def show(
    context: typer.Context, slug: Annotated[str, typer.Argument(metavar="SLUG", help="The topic's slug.")]
) -> None:
    """Show one topic: its definition, where it stands in other frameworks, its phrases."""
    from listener.settings import nearest

    state = state_of(context)
    taxonomy = state.taxonomy_or_shipped
    topic = next((topic for topic in taxonomy.topics if topic.slug == slug), None)
    if topic is None:
        known = [topic.slug for topic in taxonomy.topics]
        raise ConfigError(f"no topic {slug!r}{nearest(slug, known)}; `listener topics list` shows them")
    state.out.print(f"{topic.slug}: {topic.name} ({topic.group}; taxonomy {taxonomy.version})")
    state.out.print(topic.definition)
    if topic.hcahps:
        state.out.print(f"HCAHPS: {', '.join(topic.hcahps)}")
    state.out.print("Phrases:")
    for phrase in topic.phrases:
        state.out.print(f"  {phrase}")


@app.command()
def test(
    context: typer.Context, text: Annotated[str, typer.Argument(metavar="TEXT", help="Any text, in quotes.")]
) -> None:
    """Show what would be kept of a text, which topics it would get, and by which phrases."""
    from jobs.hearing import analyzer_for
    from listener.signals.analysis import Analyzer

    state = state_of(context)
    taxonomy = state.taxonomy_or_shipped
    analyzer = analyzer_for(state.settings, taxonomy) if state.is_configured else Analyzer(taxonomy, ())
    redacted = analyzer.redact(text)
    signals = analyzer.analyze(redacted, language_hint=None)
    state.out.print(f"text: {redacted}")
    state.out.print(f"language: {signals.language or 'not recognized'}")
    if not signals.topics:
        state.out.print("topics: none")
        return
    rows = [
        {"topic": hit.slug, "by": hit.source.value, "phrases": ", ".join(hit.phrases)} for hit in signals.topics
    ]
    print_table(state, rows, ("topic", "by", "phrases"))
