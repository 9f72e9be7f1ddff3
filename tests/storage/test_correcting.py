"""What a person says of a mention is kept, outlives what is heard later, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import event, insert, select, text, update

from listener.mention import Purpose, Sentiment
from listener.usage import Usage
from storage import correcting, retagging, schema
from storage.corrected import MARKS, Part, parts
from storage.correcting import Change, Corrected, Correction, Name, Standing
from storage.migrating import alembic_config
from storage.opening import connect
from storage.queries import Filters, count_by, rows
from storage.store import MentionStore, PageCounts, Record
from storage.upgrade import check, current, upgrade

MONDAY = datetime(2026, 11, 9, 12, tzinfo=UTC)
LATE = MONDAY + timedelta(hours=3)
EVERYTHING = Correction(purpose=Purpose.EXPERIENCE, sentiment=Sentiment.POSITIVE, topics=frozenset({"pain"}))


def clean(store: MentionStore) -> None:
    store.roll_up()


def dirty(store: MentionStore) -> list[int]:
    with store.database.read() as connection:
        return sorted(set(connection.execute(select(schema.dirty_days.c.day)).scalars()))


def found(store: MentionStore, external_id: str = "1") -> dict[str, Any]:
    (row,) = [row for row in rows(store, Filters()) if row["external_id"] == external_id]
    return row


def tags(store: MentionStore) -> set[tuple[str, str, float]]:
    tag = schema.mention_topics
    query = select(schema.topics.c.slug, tag.c.source, tag.c.score).join(
        schema.topics, schema.topics.c.id == tag.c.topic_id
    )
    with store.database.read() as connection:
        return {(slug, source, score) for slug, source, score in connection.execute(query)}


def marks(store: MentionStore) -> dict[str, Any]:
    with store.database.read() as connection:
        (row,) = connection.execute(select(*MARKS.values()))
    return row._asdict()


def ids(store: MentionStore, *external_ids: str) -> dict[str, int]:
    named = correcting.ids_by_name(store, [Name("twitter", one) for one in external_ids])
    return {name.external_id: row for name, row in named.items()}


def volumes(store: MentionStore) -> dict[str, int]:
    store.roll_up()
    return retagging.topic_volumes(store, since_day=None)


@pytest.fixture
def correct(pulling: Any) -> Callable[..., Corrected]:
    def run(external_id: str = "1", correction: Correction | None = None, **said: Any) -> Corrected:
        (row,) = ids(pulling.store, external_id).values()
        now = pulling.clock.now()
        return correcting.correct(pulling.store, {row: correction or Correction(**said)}, now=now)

    return run


@pytest.fixture
def withdraw(pulling: Any, signals: Any) -> Callable[..., Corrected | None]:
    def run(external_id: str = "1", heard: Any = None, *, rehearse: bool = False) -> Corrected | None:
        (told,) = retagging.texts_of(pulling.store, list(ids(pulling.store, external_id).values()))
        work = correcting.rehearse_withdrawal if rehearse else correcting.withdraw
        return work(pulling.store, [(told, heard or signals("parking", version="2"))])

    return run


@pytest.fixture
def uncertain(pulling: Any, record: Callable[..., Record], signals: Any) -> Any:
    """One mention that waits for review: news, neutral, about parking."""
    heard = signals(
        *("parking", "food-drink"),
        purpose=Purpose.NEWS,
        purpose_score=0.4,
        needs_review=True,
        sentiment=Sentiment.NEUTRAL,
        sentiment_score=0.1,
        positive_part=0.75,
        negative_part=0.5,
        version="1",
    )
    pulling.save(record("1", signals=heard))
    clean(pulling.store)
    return heard


def test_everything_can_be_corrected(pulling: Any, uncertain: Any, correct: Any) -> None:
    store = pulling.store
    assert volumes(store) == {"all": 1, "(to review)": 1}
    pulling.later(hours=1)
    before = Standing("news", True, "neutral", frozenset({"parking", "food-drink"}))
    after = Standing("experience", False, "positive", frozenset({"pain"}))
    (row,) = ids(store, "1").values()
    change = Change(row, frozenset(Part), before, after)
    rehearsed = correcting.rehearse(store, {row: EVERYTHING})
    assert rehearsed == Corrected((change,), 1)
    assert (found(store)["corrected"], dirty(store)) == ([], [])
    assert correct(correction=EVERYTHING) == rehearsed
    row = found(store)
    assert (row["purpose"], row["purpose_score"], row["needs_review"]) == ("experience", 1.0, False)
    assert (row["sentiment"], row["sentiment_score"]) == ("positive", 1.0)
    assert (row["positive_part"], row["negative_part"], row["signals_version"]) == (0.75, 0.5, "1")
    assert row["corrected"] == ["purpose", "sentiment", "topics"]
    assert tags(store) == {("pain", "human", 1.0)}
    assert set(marks(store).values()) == {pulling.clock.now()}
    assert dirty(store) == [20766]
    assert volumes(store) == {"all": 1, "(care)": 1, "pain": 1}


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({"purpose": Purpose.QUESTION}, "purpose"),
        ({"sentiment": Sentiment.NEGATIVE}, "sentiment"),
        ({"topics": frozenset({"parking", "pain"})}, "topics"),
        ({"topics": frozenset()}, "topics"),
    ],
)
def test_what_is_not_said_stays_as_it_was_heard(
    pulling: Any, uncertain: Any, correct: Any, said: dict[str, Any], part: str
) -> None:
    before = found(pulling.store)
    correct(**said)
    after = found(pulling.store)
    theirs = {
        "purpose": ("purpose", "purpose_score", "needs_review"),
        "sentiment": ("sentiment", "sentiment_score"),
    }
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {*theirs.get(part, ("topics",)), "corrected"}
    assert after["corrected"] == [part]


@pytest.mark.parametrize(("sentiment", "score"), [("negative", -1.0), ("neutral", 0.0), ("positive", 1.0)])
def test_a_sentiment_has_a_score(pulling: Any, uncertain: Any, correct: Any, sentiment: str, score: float) -> None:
    correct(sentiment=Sentiment(sentiment))
    assert found(pulling.store)["sentiment_score"] == score


def test_twice_is_once_and_another_word_replaces_the_first(pulling: Any, uncertain: Any, correct: Any) -> None:
    correct(correction=EVERYTHING)
    clean(pulling.store)
    said_at = pulling.clock.now()
    pulling.later(hours=1)
    assert correct(correction=EVERYTHING) == Corrected((), 0)
    assert set(marks(pulling.store).values()) == {said_at}
    done = correct(purpose=Purpose.EXPERIENCE, topics=frozenset({"parking"}))
    assert [change.parts for change in done.changes] == [{Part.TOPICS}]
    assert tags(pulling.store) == {("parking", "human", 1.0)}
    assert marks(pulling.store) == {
        "purpose_corrected_at": said_at,
        "sentiment_corrected_at": said_at,
        "topics_corrected_at": pulling.clock.now(),
    }


def test_what_was_heard_rightly_is_kept_without_a_recount(
    pulling: Any, record: Callable[..., Record], signals: Any, correct: Any
) -> None:
    """A person who agrees makes it last; no figure moves."""
    pulling.save(record(signals=signals("parking", purpose=Purpose.EXPERIENCE, purpose_score=0.6)))
    clean(pulling.store)
    done = correct(purpose=Purpose.EXPERIENCE, topics=frozenset({"parking"}))
    assert (len(done.changes), done.days, dirty(pulling.store)) == (1, 0, [])
    assert found(pulling.store)["corrected"] == ["purpose", "topics"]
    assert tags(pulling.store) == {("parking", "human", 1.0)}


def test_an_unknown_topic_leaves_nothing_written(pulling: Any, uncertain: Any, correct: Any) -> None:
    before = found(pulling.store)
    with pytest.raises(LookupError, match="not declared to the store: teleportation"):
        correct(purpose=Purpose.EXPERIENCE, topics=frozenset({"teleportation"}))
    assert (found(pulling.store), dirty(pulling.store)) == (before, [])


def test_an_edit_is_heard_around_what_was_corrected(
    pulling: Any, record: Callable[..., Record], signals: Any, uncertain: Any, correct: Any
) -> None:
    correct(correction=EVERYTHING)
    kept = found(pulling.store)
    clean(pulling.store)
    heard = signals(
        *("parking", "costs-billing"),
        purpose=Purpose.PROMOTION,
        purpose_score=0.9,
        needs_review=True,
        sentiment=Sentiment.NEGATIVE,
        sentiment_score=-0.9,
        positive_part=0.25,
        negative_part=1.0,
        language="fr",
        version="2",
    )
    edited = record("1", "another text", edited_at=LATE, signals=heard)
    assert pulling.save(edited) == PageCounts(updated=1)
    row = found(pulling.store)
    names = ("purpose", "purpose_score", "needs_review", "sentiment", "sentiment_score", "topics", "corrected")
    assert {name: row[name] for name in names} == {name: kept[name] for name in names}
    assert (row["text"], row["language"], row["signals_version"]) == ("another text", "fr", "2")
    assert (row["positive_part"], row["negative_part"]) == (0.25, 1.0)
    assert tags(pulling.store) == {("pain", "human", 1.0)}


def test_an_edit_is_heard_where_nothing_was_corrected(
    pulling: Any, record: Callable[..., Record], signals: Any, uncertain: Any, correct: Any
) -> None:
    correct(sentiment=Sentiment.POSITIVE)
    heard = signals("pain", purpose=Purpose.QUESTION, sentiment=Sentiment.NEGATIVE, sentiment_score=-1.0)
    pulling.save(record("1", "another text", edited_at=LATE, signals=heard))
    row = found(pulling.store)
    assert (row["purpose"], row["needs_review"], row["topics"]) == ("question", False, ["pain"])
    assert (row["sentiment"], row["sentiment_score"]) == ("positive", 1.0)


def test_no_topics_stay_none(
    pulling: Any, record: Callable[..., Record], signals: Any, uncertain: Any, correct: Any
) -> None:
    correct(purpose=Purpose.EXPERIENCE, topics=frozenset())
    assert volumes(pulling.store) == {"all": 1, "(care)": 1, "(untagged)": 1}
    pulling.save(record("1", "another text", edited_at=LATE, signals=signals("pain", purpose=Purpose.NEWS)))
    assert (found(pulling.store)["topics"], tags(pulling.store)) == ([], set())
    assert volumes(pulling.store) == {"all": 1, "(care)": 1, "(untagged)": 1}


def test_a_recheck_a_removal_and_a_return_keep_what_was_corrected(
    pulling: Any, record: Callable[..., Record], tombstone: Any, signals: Any, uncertain: Any, correct: Any
) -> None:
    correct(correction=EVERYTHING)
    kept = found(pulling.store)
    names = ("purpose", "purpose_score", "needs_review", "sentiment", "sentiment_score", "topics", "corrected")

    def same() -> bool:
        return all(found(pulling.store)[name] == kept[name] for name in names)

    _, run_id = pulling.stream()
    edited = record("1", "edited", edited_at=LATE).mention
    heard = signals("parking", purpose=Purpose.NEWS)
    pulling.store.save_recheck("twitter", [(edited, heard)], run_id=run_id, usage=Usage())
    assert same()
    pulling.save(tombstone("1"))
    assert same()
    gone = found(pulling.store)
    assert (gone["text"], gone["permalink"]) == ("", None)
    pulling.save(record("1", "back", edited_at=LATE, signals=heard))
    assert found(pulling.store)["text"] == "back"
    assert same()
    assert pulling.save(record("1", "back", edited_at=LATE, heard=False)) == PageCounts(unchanged=1)
    assert same()


def test_nothing_of_a_correction_holds_words_or_who_said_it(pulling: Any, uncertain: Any, correct: Any) -> None:
    correct(correction=EVERYTHING)
    with pulling.store.database.read() as connection:
        phrases = connection.execute(select(schema.mention_topics.c.phrases)).scalars().all()
    assert phrases == [[]]
    assert {column.type.__class__.__name__ for column in MARKS.values()} == {"Moment"}


def test_a_tombstone_can_be_corrected(
    pulling: Any, tombstone: Any, uncertain: Any, correct: Any, withdraw: Any
) -> None:
    pulling.save(tombstone("1"))
    correct(purpose=Purpose.EXPERIENCE)
    assert volumes(pulling.store) == {"all": 1, "(care)": 1, "parking": 1, "food-drink": 1}
    assert withdraw() is None
    assert found(pulling.store)["corrected"] == ["purpose"]


def test_a_withdrawal_puts_what_is_heard_now(
    pulling: Any, signals: Any, uncertain: Any, correct: Any, withdraw: Any
) -> None:
    correct(correction=EVERYTHING)
    clean(pulling.store)
    heard = signals("costs-billing", purpose=Purpose.QUESTION, purpose_score=0.8, version="2")
    before = Standing("experience", False, "positive", frozenset({"pain"}))
    after = Standing("question", False, None, frozenset({"costs-billing"}))
    kept = found(pulling.store)
    rehearsed = withdraw(heard=heard, rehearse=True)
    assert [(one.parts, one.before, one.after) for one in rehearsed.changes] == [(set(Part), before, after)]
    assert (found(pulling.store), dirty(pulling.store)) == (kept, [])
    assert withdraw(heard=heard) == rehearsed == Corrected(rehearsed.changes, 1)
    row = found(pulling.store)
    assert (row["purpose"], row["purpose_score"], row["sentiment"], row["sentiment_score"]) == (
        *("question", 0.8),
        *(None, None),
    )
    assert (row["corrected"], row["signals_version"]) == ([], "2")
    assert tags(pulling.store) == {("costs-billing", "rule", 1.0)}
    assert dirty(pulling.store) == [20766]
    assert withdraw(heard=heard) == Corrected((), 0)


def test_a_withdrawn_set_of_topics_gives_way_to_none(
    pulling: Any, signals: Any, uncertain: Any, correct: Any, withdraw: Any
) -> None:
    """Nothing is heard of it otherwise: the day still counts anew, for the topics are gone."""
    correct(topics=frozenset({"pain"}))
    withdraw(heard=signals(version="1"))
    assert tags(pulling.store) == set()
    clean(pulling.store)
    correct(topics=frozenset({"pain"}))
    clean(pulling.store)
    assert withdraw(heard=signals(version="1")).days == 1
    assert (tags(pulling.store), dirty(pulling.store)) == (set(), [20766])


def test_what_is_edited_while_it_is_heard_is_not_withdrawn(
    pulling: Any, record: Callable[..., Record], signals: Any, uncertain: Any, correct: Any
) -> None:
    correct(correction=EVERYTHING)
    read = retagging.texts_of(pulling.store, list(ids(pulling.store, "1").values()))
    pulling.save(record("1", "edited meanwhile", edited_at=LATE, signals=signals("parking")))
    kept = found(pulling.store)
    assert correcting.withdraw(pulling.store, [(read[0], signals("food-drink"))]) is None
    assert found(pulling.store) == kept


def tag_by_hand(store: MentionStore, slug: str) -> None:
    """As stores have it whose people tagged before corrections were kept."""
    with store.database.write() as connection:
        (row,) = connection.execute(select(schema.mentions.c.id)).scalars()
        topic = connection.execute(select(schema.topics.c.id).where(schema.topics.c.slug == slug)).scalar_one()
        tag = {"mention_id": row, "topic_id": topic, "source": "human", "score": 1.0, "phrases": []}
        connection.execute(insert(schema.mention_topics).values(tag))


def test_tags_of_before_stay_beside_what_is_heard(
    pulling: Any, signals: Any, uncertain: Any, correct: Any, withdraw: Any
) -> None:
    tag_by_hand(pulling.store, "costs-billing")
    assert found(pulling.store)["corrected"] == []
    correct(purpose=Purpose.EXPERIENCE)
    assert found(pulling.store)["topics"] == ["costs-billing", "food-drink", "parking"]
    withdraw(heard=signals("parking", version="2"))
    assert tags(pulling.store) == {("costs-billing", "human", 1.0), ("parking", "rule", 1.0)}
    correct(topics=frozenset({"pain"}))
    assert tags(pulling.store) == {("pain", "human", 1.0)}


@pytest.mark.parametrize("words", ["purpose", "sentiment", "topics", "purpose,topics", None])
def test_parts_are_told_in_one_word(words: str | None) -> None:
    assert ",".join(part for part in Part if part in parts(words)) == (words or "")


def test_what_is_corrected_can_be_asked_for(
    pulling: Any, record: Callable[..., Record], signals: Any, correct: Any
) -> None:
    pulling.save(*(record(str(number), signals=signals("parking")) for number in range(5)))
    said = {
        "1": {"purpose": Purpose.QUESTION},
        "2": {"sentiment": Sentiment.NEGATIVE},
        "3": {"topics": frozenset()},
        "4": {"purpose": Purpose.NEWS, "topics": frozenset({"pain"})},
    }
    for external_id, words in said.items():
        correct(external_id, **words)
    told = {row["external_id"]: row["corrected"] for row in rows(pulling.store, Filters(corrected=True))}
    assert told == {"1": ["purpose"], "2": ["sentiment"], "3": ["topics"], "4": ["purpose", "topics"]}
    assert [row["external_id"] for row in rows(pulling.store, Filters(corrected=False))] == ["0"]
    assert [row["mentions"] for row in count_by(pulling.store, Filters(corrected=True), [])] == [4]
    order = [row["external_id"] for row in rows(pulling.store, Filters(), sort="corrected")]
    assert order == ["1", "4", "2", "3", "0"]
    frame = pulling.store.query(corrected=True, sort="external_id")
    assert list(frame["corrected"]) == [["purpose"], ["sentiment"], ["topics"], ["purpose", "topics"]]
    with pulling.store.database.read() as connection:
        view = connection.exec_driver_sql("SELECT corrected FROM v_mentions ORDER BY external_id")
        assert list(view.scalars()) == [None, "purpose", "sentiment", "topics", "purpose,topics"]


def test_thousands_are_corrected_by_few_statements(
    pulling: Any, record: Callable[..., Record], signals: Any
) -> None:
    count = 2500
    names = [str(number) for number in range(count)]
    pulling.save(*(record(name, at=MONDAY + timedelta(minutes=int(name))) for name in names))
    clean(pulling.store)
    by_name = ids(pulling.store, *names)
    assert len(by_name) == count
    said: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(pulling.store.database.writing, "before_cursor_execute", listen)
    done = correcting.correct(pulling.store, dict.fromkeys(by_name.values(), EVERYTHING), now=pulling.clock.now())
    event.remove(pulling.store.database.writing, "before_cursor_execute", listen)
    assert len(done.changes) == count
    assert len(said) < 30
    assert tags(pulling.store) == {("pain", "human", 1.0)}


def test_ingest_asks_no_more_than_before(pulling: Any, record: Callable[..., Record]) -> None:
    """What is corrected is told by the look-up that there was."""
    pulling.save(record("1"))
    said: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(pulling.store.database.writing, "before_cursor_execute", listen)
    pulling.save(record("1", "edited", edited_at=LATE))
    event.remove(pulling.store.database.writing, "before_cursor_execute", listen)
    assert sum("corrected_at" in statement for statement in said) == 1


def test_what_the_store_does_not_have_is_not_found(pulling: Any, record: Callable[..., Record]) -> None:
    pulling.save(record("1"), record("2"))
    pulling.save(record("1", channel="reddit"))
    names = [Name("twitter", "1"), Name("reddit", "1"), Name("reddit", "2"), Name("myspace", "1")]
    assert set(correcting.ids_by_name(pulling.store, names)) == {Name("twitter", "1"), Name("reddit", "1")}
    assert correcting.known_channels(pulling.store) == ["reddit", "twitter"]
    assert correcting.ids_by_name(pulling.store, []) == {}


def test_a_filled_store_of_the_second_schema_is_upgraded(
    pulling: Any, record: Callable[..., Record], uncertain: Any, store_url: str
) -> None:
    """Nothing is corrected in it; what people tagged by hand stays."""
    tag_by_hand(pulling.store, "costs-billing")
    before = found(pulling.store)
    database = connect(store_url)
    with database.write() as connection:
        command.downgrade(alembic_config(connection), "0002")
        columns = tuple(connection.execute(text("SELECT * FROM v_mentions")).keys())
    assert "corrected" not in columns
    database.close()
    assert current(store_url) == "0002"
    assert upgrade(store_url) == ("0002", schema.SCHEMA_VERSION)
    with MentionStore.open(store_url) as store:
        assert found(store) == before
        assert before["corrected"] == []
        with store.database.write() as connection:
            connection.execute(update(schema.mentions).values(topics_corrected_at=LATE))
        assert found(store)["corrected"] == ["topics"]
        store.rebuild_rollups()
    assert check(store_url) == []


@pytest.fixture(autouse=True)
def _counts_hold(store: MentionStore, store_url: str) -> Iterator[None]:
    """After every test here the rollup is what a recount gives, as far as days are not marked."""
    yield
    assert check(store_url) == []
