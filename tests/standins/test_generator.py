"""The generator: the same from a seed, in order, lifelike, true to its labels, and never growing."""

from __future__ import annotations

import gc
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from listener.mention import Kind, Purpose
from listener.signals.language import detect_language
from listener.signals.redaction import Redactor
from listener.signals.taxonomy import Taxonomy
from listener.signals.topics import TopicMatcher
from listener.standins.generator import (
    CHANNELS,
    MAX_REMOVAL_DELAY,
    MAX_REPLY_DELAY,
    MIN_REMOVAL_DELAY,
    ST_ELSEWHERE,
    Spike,
    generate,
)
from listener.standins.identifiers import TWITTER_EPOCH_MS, base36
from listener.standins.phrasebook import LANGUAGES
from listener.standins.posts import Post

ZONE = ZoneInfo("America/Toronto")
START = datetime(2026, 8, 24, tzinfo=ZONE)
END = datetime(2026, 11, 16, tzinfo=ZONE)
WEEK = timedelta(weeks=1)


@pytest.fixture(scope="module")
def posts() -> list[Post]:
    return list(generate(seed=7, start=START, end=END, per_week=1_000))


@pytest.fixture(scope="module")
def by_id(posts: list[Post]) -> dict[str, Post]:
    return {post.external_id: post for post in posts}


def test_the_same_seed_gives_the_same_posts_and_another_gives_others() -> None:
    week = {"start": START, "end": START + WEEK, "per_week": 300}

    assert list(generate(seed=1, **week)) == list(generate(seed=1, **week))
    assert list(generate(seed=1, **week)) != list(generate(seed=2, **week))


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_the_same_seed_gives_the_same_bytes_in_another_process(hash_seed: str) -> None:
    program = (
        "import hashlib, datetime as d\n"
        "from listener.standins.generator import generate\n"
        "at = d.datetime(2026, 8, 24, tzinfo=d.UTC)\n"
        "whole = hashlib.sha256()\n"
        "for p in generate(seed=5, start=at, end=at + d.timedelta(weeks=2), per_week=300):\n"
        "    whole.update(repr((p.external_id, p.published_at, p.title, p.text, p.author_id, p.metrics,"
        " sorted(p.topics), p.language, p.removed_at,"
        " [(e.at, e.text, sorted(e.topics)) for e in p.edits])).encode())\n"
        "print(whole.hexdigest())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    at = datetime(2026, 8, 24, tzinfo=UTC)
    whole = hashlib.sha256()
    for p in generate(seed=5, start=at, end=at + timedelta(weeks=2), per_week=300):
        edits = [(edit.at, edit.text, sorted(edit.topics)) for edit in p.edits]
        whole.update(
            repr(
                (
                    *(p.external_id, p.published_at, p.title, p.text, p.author_id, p.metrics),
                    *(sorted(p.topics), p.language, p.removed_at, edits),
                )
            ).encode()
        )
    assert answer.stdout.strip() == whole.hexdigest()


def test_one_channel_alone_is_the_same_as_among_others() -> None:
    week = {"seed": 3, "start": START, "end": START + WEEK, "per_week": 500}
    merged = list(generate(**week))

    for channel in CHANNELS:
        assert list(generate(**week, channels=[channel])) == [post for post in merged if post.channel == channel]


def test_posts_come_in_order_within_their_time(posts: list[Post]) -> None:
    assert all(a.published_at <= b.published_at for a, b in itertools.pairwise(posts))
    assert all(START <= post.published_at < END for post in posts)
    assert all(post.published_at.tzinfo is UTC and post.published_at.microsecond == 0 for post in posts)


def test_there_are_about_as_many_as_asked_for(posts: list[Post]) -> None:
    assert 0.9 * 12_000 < len(posts) < 1.1 * 12_000
    shares = Counter(post.channel for post in posts)
    assert shares["twitter"] > shares["reddit"] > shares["youtube"] > 1_000


def test_ids_are_unique_and_of_each_platforms_shape(posts: list[Post]) -> None:
    assert len({(post.channel, post.external_id) for post in posts}) == len(posts)
    shapes = {
        ("twitter", Kind.POST): r"\d{19}",
        ("twitter", Kind.REPLY): r"\d{19}",
        ("reddit", Kind.POST): r"t3_[0-9a-z]{7}",
        ("reddit", Kind.COMMENT): r"t1_[0-9a-z]{7}",
        ("reddit", Kind.REPLY): r"t1_[0-9a-z]{7}",
        ("youtube", Kind.VIDEO): r"[\w-]{11}",
        ("youtube", Kind.COMMENT): r"Ug[\w-]{24}",
        ("youtube", Kind.REPLY): r"Ug[\w-]{24}\.[\w-]{22}",
    }
    for post in posts:
        assert re.fullmatch(shapes[post.channel, post.kind], post.external_id)
    assert {(post.channel, post.kind) for post in posts} == set(shapes)


def test_ids_grow_where_the_platforms_do(posts: list[Post]) -> None:
    tweets = [post for post in posts if post.channel == "twitter"]
    assert all(int(a.external_id) < int(b.external_id) for a, b in itertools.pairwise(tweets))
    for post in tweets:
        seconds = ((int(post.external_id) >> 22) + TWITTER_EPOCH_MS) // 1000
        assert seconds == int(post.published_at.timestamp())
    for prefix in ("t1_", "t3_"):
        numbers = [int(post.external_id[3:], 36) for post in posts if post.external_id.startswith(prefix)]
        assert all(a < b for a, b in itertools.pairwise(numbers))


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (35, "z"), (36, "10"), (36**7 - 1, "zzzzzzz")])
def test_base36(number: int, text: str) -> None:
    assert base36(number) == text
    assert int(text, 36) == number


def test_replies_come_after_their_parents_and_soon(posts: list[Post], by_id: dict[str, Post]) -> None:
    for post in posts:
        if post.kind in (Kind.POST, Kind.VIDEO):
            assert post.parent_id is None
            assert post.conversation_id == post.external_id
            continue
        parent, head = by_id[post.parent_id or ""], by_id[post.conversation_id or ""]
        assert parent.published_at < post.published_at
        assert post.published_at - head.published_at <= MAX_REPLY_DELAY
        assert head.kind in (Kind.POST, Kind.VIDEO)
        assert (parent.conversation_id, parent.channel) == (head.external_id, post.channel)
        assert post.community == head.community


def test_youtube_replies_answer_comments_and_reddit_trees_are_deeper(
    posts: list[Post], by_id: dict[str, Post]
) -> None:
    depths = Counter()
    for post in posts:
        depth, at = 0, post
        while at.parent_id:
            depth, at = depth + 1, by_id[at.parent_id]
        depths[post.channel, depth] += 1
        if post.channel != "twitter":
            assert (post.kind is Kind.REPLY) == (depth > 1)

    assert max(depth for channel, depth in depths if channel == "youtube") == 2
    assert max(depth for channel, depth in depths if channel == "reddit") > 3


def test_search_finds_every_head(posts: list[Post]) -> None:
    for post in posts:
        texts = [post.text, *(edit.text for edit in post.edits)]
        if post.channel == "twitter":
            assert all(re.search(r"st\. elsewhere|@stelsewhere", text, re.IGNORECASE) for text in texts)
        elif post.kind is Kind.POST:
            assert "St. Elsewhere" in (post.title or "")
        elif post.kind is Kind.VIDEO:
            assert "St. Elsewhere Hospital" in (post.title or "")
        else:
            assert post.title is None


def test_edits_and_removals_keep_to_what_is_promised(posts: list[Post], by_id: dict[str, Post]) -> None:
    latest: dict[str | None, datetime] = {}
    for post in posts:
        latest[post.conversation_id] = post.published_at
        for edit in post.edits:
            assert post.published_at < edit.at < post.published_at + timedelta(minutes=30)
            assert edit.at.astimezone(ZONE).date() == post.published_at.astimezone(ZONE).date()
            assert edit.text != post.text
            unchanged = (edit.topics, edit.sentiment, edit.purpose) == (post.topics, post.sentiment, post.purpose)
            assert post.channel == "twitter" or unchanged
    parents = {post.parent_id for post in posts}
    removed = [post for post in posts if post.removed_at]
    for post in removed:
        assert MIN_REMOVAL_DELAY <= post.removed_at - post.published_at <= MAX_REMOVAL_DELAY
        assert post.published_at == latest[post.conversation_id]
        assert post.external_id not in parents
        assert post.kind is not Kind.VIDEO
        assert not post.own
    edited = [post for post in posts if post.edits]
    assert 0.005 < len(removed) / len(posts) < 0.02
    assert 0.02 < len(edited) / len(posts) < 0.05
    assert any(post.edits[0].topics != post.topics for post in edited if post.channel == "twitter")


@pytest.mark.no_cover
def test_days_and_nights_and_weekends_are_the_hospitals_own() -> None:
    posts = list(generate(seed=9, start=START, end=END, per_week=4_000, channels=["twitter"]))
    winter = datetime(2026, 11, 1, 7, tzinfo=UTC)
    for half in ([p for p in posts if p.published_at < winter], [p for p in posts if p.published_at >= winter]):
        hours = Counter(post.published_at.astimezone(ZONE).hour for post in half)
        # The quietest hours are the local ones after two in summer and winter time alike.
        assert sum(hours[hour] for hour in (2, 3, 4)) * 5 < sum(hours[hour] for hour in (18, 19, 20))
        assert set(sorted(hours, key=hours.__getitem__)[:4]) <= {1, 2, 3, 4, 5}
    days = Counter(post.published_at.astimezone(ZONE).weekday() for post in posts)
    assert max(days[5], days[6]) < min(days[day] for day in range(4))


@pytest.mark.no_cover
def test_the_spike_is_about_as_high_as_asked_for_and_changes_no_other_week() -> None:
    spike = Spike(
        topic="waiting-times",
        start=datetime(2026, 10, 12, tzinfo=ZONE),
        end=datetime(2026, 10, 19, tzinfo=ZONE),
        factor=4.0,
    )
    weeks: Counter[int] = Counter()
    others: Counter[int] = Counter()
    for post in generate(seed=11, start=START, end=END, per_week=3_000, spike=spike):
        week = post.published_at.astimezone(ZONE).isocalendar().week
        weeks[week] += "waiting-times" in post.topics
        others[week] += "parking" in post.topics

    calm = [weeks[week] for week in weeks if week != 42]
    assert 3.0 < weeks[42] / (sum(calm) / len(calm)) < 5.0
    assert max(calm) < weeks[42] / 2
    assert others[42] < 2 * sum(others[week] for week in others if week != 42) / 11


def test_all_that_the_labels_say_is_there(posts: list[Post]) -> None:
    read = [post for post in posts if post.language in ("en", "fr")]
    assert {post.purpose for post in read} == set(Purpose)
    shares = Counter(post.purpose for post in posts)
    assert 0.1 < shares[Purpose.EXPERIENCE] / len(posts) < 0.35
    sizes = Counter(len(post.topics) for post in posts)
    assert set(sizes) == {0, 1, 2, 3}
    assert {topic for post in posts for topic in post.topics} == {t.slug for t in Taxonomy.load().topics}
    assert len({post.sentiment for post in read}) == 3


def test_some_write_in_french_as_others_do_in_english(posts: list[Post]) -> None:
    french = [post for post in posts if post.language == "fr"]
    assert 0.02 < len(french) / len(posts) < 0.06
    assert {post.channel for post in french} == set(CHANNELS)
    assert {post.purpose for post in french} == set(Purpose)
    assert len({post.sentiment for post in french}) == 3
    assert len({topic for post in french for topic in post.topics}) >= 12
    assert not any(post.own for post in french)


def test_few_write_in_a_language_that_nobody_reads(posts: list[Post]) -> None:
    foreign = [post for post in posts if post.language not in ("en", "fr")]
    assert 0.004 < len(foreign) / len(posts) < 0.02
    assert {post.language for post in foreign} == {"es", "pt"}
    assert {(post.purpose, post.sentiment, post.topics) for post in foreign} == {(None, None, frozenset())}


def test_every_text_is_about_what_its_label_says(posts: list[Post]) -> None:
    """Read by the rules as the pipeline reads: title and text together, redacted."""
    taxonomy = Taxonomy.load()
    matchers = {language: TopicMatcher(taxonomy, language) for language in LANGUAGES}
    redactor = Redactor([ST_ELSEWHERE.handle])
    deaf, beside, count = [], [], 0
    for post in posts:
        if post.language not in matchers:
            continue
        versions = [(post.text, post.topics), *((edit.text, edit.topics) for edit in post.edits)]
        for text, topics in versions:
            whole = redactor.redact(f"{post.title}\n\n{text}" if post.title else text)
            found = {hit.slug for hit in matchers[post.language].match(whole)}
            count += 1
            if not topics <= found:
                deaf.append((whole, topics, found))
            # Phone and portal are heard in both.
            if not found - topics <= {"contacting-services", "online-access"}:
                beside.append((whole, topics, found))

    assert deaf == []
    assert len(beside) < 0.01 * count, beside


def test_every_text_is_known_for_its_language_where_that_matters(posts: list[Post]) -> None:
    """X says the language; elsewhere the text alone must tell it, or not be taken for another one."""
    wrong = []
    for post in posts:
        told = detect_language(
            f"{post.title}\n\n{post.text}" if post.title else post.text,
            hint=post.language if post.channel == "twitter" else None,
        )
        unread = post.language not in ("en", "fr")
        if (told != post.language) if unread else (post.topics and told not in (post.language, None)):
            wrong.append((told, post.language, post.text))

    assert len(wrong) < 0.002 * len(posts), wrong


def test_texts_are_storable_as_they_are(posts: list[Post]) -> None:
    for post in posts:
        for text in (post.text, *(edit.text for edit in post.edits)):
            assert text == text.strip()
            assert text
            assert "{" not in text
            assert not re.search(r"[\x00-\x08\r]", text)


def test_there_is_something_for_redaction_and_for_long_posts(posts: list[Post]) -> None:
    everything = "\n".join(post.text for post in posts)
    for trace in ("555-01", "@example.org", "@hogtown_jo_88", "utm_source", "&", "<3", "🙏"):
        assert trace in everything
    assert any(len(post.text) > 280 for post in posts if post.channel == "twitter")


def test_the_hospital_writes_under_its_own_account(posts: list[Post]) -> None:
    for post in posts:
        assert post.own == (post.author_id == ST_ELSEWHERE.own_accounts[post.channel])
    assert {post.channel for post in posts if post.own} == set(CHANNELS)


def test_some_write_often_and_most_once_and_some_are_nameless(posts: list[Post]) -> None:
    for channel in CHANNELS:
        authors = Counter(post.author_id for post in posts if post.channel == channel and not post.own)
        nameless = authors.pop(None, 0)
        assert (nameless > 0) == (channel != "twitter")
        assert max(authors.values()) > 10 * (sum(authors.values()) / len(authors))
        assert Counter(authors.values()).most_common(1)[0][0] == 1
    handles = defaultdict(set)
    for post in posts:
        if post.author_id:
            handles[post.channel, post.author_id].add(post.author_handle)
    assert all(len(names) == 1 for names in handles.values())
    assert len({next(iter(names)) for (channel, _), names in handles.items() if channel == "twitter"}) == sum(
        channel == "twitter" for channel, _ in handles
    )


def test_metrics_are_those_the_platform_gives(posts: list[Post]) -> None:
    for post in posts:
        metrics = post.metrics
        assert metrics.likes is not None
        assert metrics.likes >= 0
        assert (metrics.views is not None) == (post.channel == "twitter" or post.kind is Kind.VIDEO)
        assert (metrics.shares is not None) == (post.channel == "twitter")
    assert max(post.metrics.likes or 0 for post in posts) > 500


def most_blocks(*, weeks: int, per_week: int) -> int:
    """Return how many blocks of memory stand at most while posts are made and let go, beyond those at first."""
    stream = generate(seed=1, start=START, end=START + weeks * WEEK, per_week=per_week)
    before = most = 0
    for number, _ in enumerate(stream):
        if number % 200 == 0:
            gc.collect(0)
            before = before or sys.getallocatedblocks()
            most = max(most, sys.getallocatedblocks())
    assert number > 0.8 * weeks * per_week
    return most - before


@pytest.mark.no_cover
def test_memory_does_not_grow_with_the_count() -> None:
    few = most_blocks(weeks=2, per_week=5_000)

    assert most_blocks(weeks=10, per_week=5_000) < 1.5 * few
    assert most_blocks(weeks=2, per_week=25_000) < 1.5 * few
