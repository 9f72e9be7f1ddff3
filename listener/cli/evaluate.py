"""``listener topics eval``, ``sentiment eval`` and ``purpose eval``: the signals measured on labelled texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listener.cli.options import Output, Style
from listener.cli.output import Format, print_table, style_for, write
from listener.cli.state import state_of
from listener.signals.scoring import Scale

if TYPE_CHECKING:
    from jobs.evaluate import Evaluation
    from listener.cli.state import State
    from listener.signals.analysis import Analyzer

sentiment_app = typer.Typer(help="The sentiment mentions are given.", no_args_is_help=True)
purpose_app = typer.Typer(help="The purpose mentions are given.", no_args_is_help=True)


File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A CSV file in UTF-8 with a header and your labelled texts.")
]
Column = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The column with the labels, where it has another name."),
]


def register(topics_app: typer.Typer) -> None:
    """Add ``eval`` to the commands of ``listener topics``."""
    topics_app.command(name="eval")(evaluate_topics)


def evaluate_topics(
    context: typer.Context,
    file: File,
    *,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Repeat the figures for each value of this column (trust, site, year)."
        ),
    ] = None,
    style: Style = None,
    output: Output = None,
) -> None:
    """Measure the topics on texts that people labelled: precision, recall, F1 and support of each.

    FILE has a column "text" and one column of 0 and 1 (or true and false; empty is 0) for each topic, named by its
    slug or its name; case, spacing, punctuation and "&" for "and" make no difference. The names are the
    sub-categories of PE-QDC v7. Other columns are named on standard error and ignored.

    The last rows are micro (all counts together), macro (the mean of topics with a case), and the mean of topics
    with 20 cases or more. Nothing is stored, and no configuration is needed.
    """
    from jobs import evaluate

    state = state_of(context)
    analyzer = analyzer_of(state)
    with _progress(state) as told:
        found = evaluate.evaluate_topics(file, analyzer, state.taxonomy_or_shipped, group=group, progress=told)
    _tell(state, found)
    write(state, found.rows, found.columns, style=style, output=output)


@sentiment_app.command(name="eval")
def evaluate_sentiment(
    context: typer.Context,
    file: File,
    *,
    column: Column = None,
    scale: Annotated[
        Scale | None,
        typer.Option(
            help="The labels are 1 to 5, and this end is good. 1-best is implied by sentiment_1_best_5_worst."
        ),
    ] = None,
    style: Style = None,
    output: Output = None,
) -> None:
    """Measure the sentiment on texts that people labelled: figures of each class, and what was taken for what.

    FILE has the columns "text" and "sentiment" or "label": negative, neutral or positive (neg, neu and pos will
    do), in any case, or 1 to 5 with --scale: 1-2, 3 and 4-5 are the three classes. Texts without a label are left
    out, and counted on standard error. A text in a language that is not read counts as neutral.

    as_negative, as_neutral and as_positive are how many texts of the class were taken for which. The accuracy
    stands under f1. Nothing is stored, and no configuration is needed.
    """
    from jobs import evaluate

    state = state_of(context)
    analyzer = analyzer_of(state)
    with _progress(state) as told:
        found = evaluate.evaluate_sentiment(file, analyzer, column=column, scale=scale, progress=told)
    _tell(state, found)
    _write_classes(state, found, style, output)


@purpose_app.command(name="eval")
def evaluate_purpose(
    context: typer.Context, file: File, *, column: Column = None, style: Style = None, output: Output = None
) -> None:
    """Measure the purpose on texts that people labelled, and what of them would enter the volumes.

    FILE has the columns "text" and "purpose" or "label": experience, question, recruitment, philanthropy,
    promotion, news or other, in any case. Texts without a label are left out, and counted on standard error.

    as_experience and so on are how many texts of the class were taken for which; the accuracy stands under f1. The
    last rows say what the volumes count, what of it is not care (experiences and questions), what care is not
    counted, and what waits for review. Nothing is stored, and no configuration is needed.
    """
    from jobs import evaluate

    state = state_of(context)
    analyzer = analyzer_of(state)
    with _progress(state) as told:
        found = evaluate.evaluate_purpose(file, analyzer, column=column, progress=told)
    _tell(state, found)
    _write_classes(state, found, style, output)


def analyzer_of(state: State) -> Analyzer:
    """Return the analyzer in force; without a configuration one for the shipped taxonomy and no own handles."""
    from jobs.hearing import analyzer_for
    from listener.signals.analysis import Analyzer

    taxonomy = state.taxonomy_or_shipped
    return analyzer_for(state.settings, taxonomy) if state.is_configured else Analyzer(taxonomy)


@contextmanager
def _progress(state: State) -> Iterator[Callable[[int, int], None]]:
    with state.progress() as bar:
        task = bar.add_task("texts", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(state: State, found: Evaluation) -> None:
    for note in found.notes:
        state.say(note)


def _write_classes(state: State, found: Evaluation, style: Format | None, output: Path | None) -> None:
    """Write the figures of classes; on the screen the confusion and what is counted are tables of their own."""
    from jobs.evaluate import FIGURES

    if (style or style_for(output)) is not Format.TABLE or output is not None:
        write(state, found.rows, found.columns, style=style, output=output)
        return
    taken = [column for column in found.columns if column.startswith("as_")]
    for columns, title in (
        (FIGURES, "figures"),
        (("label", *taken), "what was taken for what"),
        (("label", "texts", "share"), "what enters the volumes"),
    ):
        _print_part(state, found, columns, title)


def _print_part(state: State, found: Evaluation, columns: Sequence[str], title: str) -> None:
    """Print the rows that have something under ``columns``, if there are any."""
    if rows := [row for row in found.rows if row.keys() & set(columns) - {"label"}]:
        print_table(state, rows, columns, title=title)
