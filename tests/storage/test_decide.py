"""The decisions, as a table: what arrives, what is stored, what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from listener.mention import Metrics
from storage.decide import Decision, Fate, Stored, decide, last_of_each
from storage.records import Record, text_fingerprint

EARLY = datetime(2026, 11, 9, 8, tzinfo=UTC)
LATE = datetime(2026, 11, 9, 9, tzinfo=UTC)
OLD = {"text_fingerprint": text_fingerprint("old"), "language": "en"}
GONE = {"text_fingerprint": "", "removed_at": EARLY, "language": "en"}


@pytest.mark.parametrize(
    ("arrives", "stored", "fate"),
    [
        ({"text": "new"}, None, Fate.NEW),
        ({"text": "", "removed_at": LATE, "heard": False}, None, Fate.NEW),
        ({"text": "old"}, OLD, Fate.KEPT),
        ({"text": "old", "heard": False}, OLD, Fate.KEPT),
        ({"text": "new"}, OLD, Fate.EDITED),
        ({"text": "new", "heard": False}, OLD, Fate.KEPT),
        ({"text": "new", "edited_at": LATE}, OLD, Fate.EDITED),
        ({"text": "new", "edited_at": LATE}, OLD | {"edited_at": EARLY}, Fate.EDITED),
        ({"text": "new", "edited_at": EARLY}, OLD | {"edited_at": LATE}, Fate.KEPT),
        ({"text": "new"}, OLD | {"edited_at": EARLY}, Fate.KEPT),
        ({"text": "new", "edited_at": EARLY}, OLD | {"edited_at": EARLY}, Fate.EDITED),
        ({"text": "old", "edited_at": LATE}, OLD | {"edited_at": EARLY}, Fate.MARKED),
        ({"text": "old", "edited_at": EARLY}, OLD | {"edited_at": LATE}, Fate.KEPT),
        ({"text": "old"}, OLD | {"edited_at": EARLY}, Fate.KEPT),
        ({"text": "old"}, OLD | {"language": "fr"}, Fate.MARKED),
        ({"text": "old"}, OLD | {"language": "fr", "edited_at": EARLY}, Fate.KEPT),
        ({"text": "old", "heard": False, "language": "fr"}, OLD, Fate.KEPT),
        ({"text": "", "removed_at": LATE, "heard": False}, OLD, Fate.REMOVED),
        ({"text": "", "removed_at": LATE, "heard": False}, GONE, Fate.KEPT),
        ({"text": "back"}, GONE, Fate.RESTORED),
        ({"text": "back"}, GONE | {"edited_at": LATE}, Fate.RESTORED),
        ({"text": "back", "heard": False}, GONE, Fate.KEPT),
        ({"text": "", "heard": False}, GONE, Fate.RESTORED),
    ],
)
def test_fate(
    record: Callable[..., Record], arrives: dict[str, Any], stored: dict[str, Any] | None, fate: Fate
) -> None:
    decision = decide(record(**arrives), stored and Stored(id=1, **stored))
    assert decision == Decision(fate=fate)
    assert decision.changes is (fate is not Fate.KEPT)


@pytest.mark.parametrize(
    ("arrives", "stored", "fate"),
    [
        ({"text": "new"}, None, Fate.NEW),
        ({"text": "", "removed_at": LATE, "heard": False}, None, Fate.NEW),
        ({"text": "old"}, OLD, Fate.KEPT),
        ({"text": "new"}, OLD, Fate.KEPT),
        ({"text": "new", "edited_at": LATE}, OLD, Fate.EDITED),
        ({"text": "new", "edited_at": LATE, "heard": False}, OLD, Fate.KEPT),
        ({"text": "new", "edited_at": LATE}, OLD | {"edited_at": LATE}, Fate.KEPT),
        ({"text": "new", "edited_at": EARLY}, OLD | {"edited_at": LATE}, Fate.KEPT),
        ({"text": "old", "edited_at": LATE}, OLD | {"edited_at": EARLY}, Fate.MARKED),
        ({"text": "old", "edited_at": EARLY}, OLD | {"edited_at": LATE}, Fate.KEPT),
        ({"text": "old"}, OLD | {"language": "fr"}, Fate.KEPT),
        ({"text": "", "removed_at": LATE, "heard": False}, OLD, Fate.KEPT),
        ({"text": "back"}, GONE, Fate.KEPT),
        ({"text": "back", "edited_at": LATE}, GONE, Fate.KEPT),
    ],
)
def test_the_fate_of_a_copy_from_an_archive(
    record: Callable[..., Record], arrives: dict[str, Any], stored: dict[str, Any] | None, fate: Fate
) -> None:
    copy = replace(record(**arrives), archived=True)
    assert decide(copy, stored and Stored(id=1, **stored)) == Decision(fate=fate)


@pytest.mark.parametrize(
    ("edited_at", "given", "known", "written"),
    [
        (None, Metrics(likes=1), Metrics(likes=9), None),
        (None, Metrics(likes=1, views=5), Metrics(likes=9), Metrics(likes=9, views=5)),
        (None, Metrics(likes=1), None, Metrics(likes=1)),
        (None, Metrics(), None, None),
        (LATE, Metrics(likes=1), Metrics(likes=9, views=5), Metrics(likes=1, views=5)),
    ],
)
def test_figures_of_an_archive_fill_what_is_missing(
    record: Callable[..., Record],
    edited_at: datetime | None,
    given: Metrics,
    known: Metrics | None,
    written: Metrics | None,
) -> None:
    copy = replace(record(text="old", metrics=given, edited_at=edited_at), archived=True)
    assert decide(copy, Stored(id=1, metrics=known, **OLD)).metrics == written


@pytest.mark.parametrize(
    ("given", "known", "written"),
    [
        (Metrics(), None, None),
        (Metrics(likes=0), None, Metrics(likes=0)),
        (Metrics(likes=2), Metrics(likes=2), None),
        (Metrics(), Metrics(likes=2), None),
        (Metrics(likes=3), Metrics(likes=2, views=9), Metrics(likes=3, views=9)),
        (Metrics(likes=0), Metrics(likes=2), Metrics(likes=0)),
    ],
)
def test_metrics_are_merged_and_written_only_when_they_differ(
    record: Callable[..., Record], given: Metrics, known: Metrics | None, written: Metrics | None
) -> None:
    decision = decide(record(text="old", metrics=given), Stored(id=1, **OLD, metrics=known))
    assert decision == Decision(fate=Fate.KEPT, metrics=written)
    assert decision.changes is (written is not None)


def test_an_older_copy_brings_no_metrics(record: Callable[..., Record]) -> None:
    older = record(text="new", edited_at=EARLY, metrics=Metrics(likes=1))
    stored = Stored(id=1, **OLD | {"edited_at": LATE}, metrics=Metrics(likes=5))
    assert decide(older, stored) == Decision(fate=Fate.KEPT)


def test_a_tombstone_leaves_the_metrics(record: Callable[..., Record]) -> None:
    gone = record(text="", removed_at=LATE, heard=False, metrics=Metrics(likes=0))
    assert decide(gone, Stored(id=1, **OLD, metrics=Metrics(likes=5))) == Decision(fate=Fate.REMOVED)


def test_a_new_text_needs_signals(record: Callable[..., Record]) -> None:
    with pytest.raises(ValueError, match="twitter 1 is new and comes without signals"):
        decide(record(heard=False), None)


def test_the_last_copy_of_a_page_wins_and_a_tombstone_before_any_text(
    record: Callable[..., Record], tombstone: Callable[..., Record]
) -> None:
    first, second = record("1", "a"), record("1", "b")
    gone = tombstone("2")
    assert last_of_each([first, record("2", "x"), second, gone, record("2", "y")]) == [second, gone]
    assert last_of_each([gone, tombstone("2", at=LATE)])[0].mention.removed_at == LATE


def test_of_copies_from_an_archive_the_one_edited_last_wins_wherever_it_stands(
    record: Callable[..., Record], tombstone: Callable[..., Record]
) -> None:
    def copy(text: str, edited_at: datetime | None = None) -> Record:
        return replace(record("1", text, edited_at=edited_at), archived=True)

    newest = copy("newest", LATE)
    others = [copy("as it was"), copy("edited", EARLY), copy("the same mark", LATE)]
    for copies in permutations([newest, *others[:2]]):
        assert last_of_each(copies) == [newest]
    assert last_of_each([newest, others[2]]) == [newest]
    gone = replace(tombstone("1"), archived=True)
    for copies in permutations([newest, gone]):
        assert last_of_each(copies) == [gone]


@pytest.mark.parametrize(
    ("asked_at", "fate"),
    [
        (None, Fate.RESTORED),
        (LATE, Fate.RESTORED),
        (EARLY, Fate.KEPT),
        (EARLY - timedelta(hours=1), Fate.KEPT),
        (datetime.min.replace(tzinfo=UTC), Fate.KEPT),
    ],
)
def test_only_who_was_asked_after_a_deletion_was_noticed_undoes_it(
    record: Callable[..., Record], asked_at: datetime | None, fate: Fate
) -> None:
    shown = replace(record(text="back"), asked_at=asked_at)
    assert decide(shown, Stored(id=1, **GONE)) == Decision(fate=fate)
    assert decide(shown, Stored(id=1, **OLD)).fate is Fate.EDITED
    gone = replace(record(text="", removed_at=LATE, heard=False), asked_at=asked_at)
    assert decide(gone, Stored(id=1, **OLD)).fate is Fate.REMOVED


def test_the_fingerprint_is_short_and_tells_texts_apart() -> None:
    assert text_fingerprint("") == ""
    assert len(text_fingerprint("a")) == 16
    assert text_fingerprint("a") != text_fingerprint("b")
