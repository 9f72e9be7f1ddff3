"""Labelled files in, figures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from jobs.evaluate import (
    Evaluation,
    evaluate_purpose,
    evaluate_sentiment,
    evaluate_topics,
    sentiment_of,
)
from jobs.labelled import purpose_of, read_labelled
from listener.errors import ConfigError
from listener.mention import Purpose, Sentiment
from listener.signals.analysis import Analyzer, Signals
from listener.signals.scoring import Scale
from listener.signals.taxonomy import Taxonomy, Topic

TAXONOMY = Taxonomy(
    "1",
    (
        Topic(slug="parking", name="Parking", group="g", definition="d", phrases=("parking",)),
        Topic(
            slug="food-drink", name="Food & drink, provision", group="g", definition="d", phrases=("lunch", "tea")
        ),
        Topic(slug="pain", name="Pain management", group="g", definition="d", phrases=("pain*",)),
    ),
)


class Reader(Analyzer):
    """Hears a purpose and a sentiment where a text says them in so many words, and "?" for a purpose in doubt."""

    def __init__(self) -> None:
        super().__init__(TAXONOMY)
        self.heard: list[str] = []

    def analyze_many(self, texts: Sequence[str], hints: Sequence[str | None] | None = None) -> list[Signals]:
        self.heard += texts
        return [self._signals(text) for text in texts]

    def _signals(self, text: str) -> Signals:
        words = text.replace("?", "").split()
        return Signals(
            language="en",
            purpose=next((Purpose(word) for word in words if word in set(Purpose)), None),
            needs_review="?" in text,
            sentiment=next((Sentiment(word) for word in words if word in set(Sentiment)), None),
        )


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def call(content: str | bytes) -> Path:
        path = tmp_path / "labelled.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return call


Write = Callable[..., Path]


def by_label(found: Evaluation) -> dict[str, dict[str, object]]:
    return {row["label"]: row for row in found.rows}


# --- topics

TOPICS = """text,Parking,FOOD and drink - provision,trust,remark
"free parking, at last",1,0,A,x
lunch was cold,0,1,A,
parking and tea,TRUE,false,B,
nothing of it,,1,B,
"""


def measure(path: Path, **options: str) -> Evaluation:
    return evaluate_topics(path, Analyzer(TAXONOMY), TAXONOMY, **options)


def test_topics_are_measured_by_slug_or_name(write: Write) -> None:
    found = measure(write(TOPICS))
    assert found.columns == ("label", "precision", "recall", "f1", "support")
    assert list(found.rows) == [
        {"label": "parking", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2},
        {"label": "food-drink", "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        {"label": "micro", "precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4},
        {"label": "macro", "precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 4},
        {"label": "macro (20+)", "precision": None, "recall": None, "f1": None, "support": 0},
    ]
    assert found.notes == (
        "ignored, no topics of taxonomy 1: 'trust', 'remark'",
        "not measured, they have no column: pain",
    )


def test_topics_are_measured_for_each_value_of_a_column(write: Write) -> None:
    found = measure(write(TOPICS), group="Trust")
    assert found.columns[0] == "group"
    assert [
        (row["group"], row["label"], row["f1"]) for row in found.rows if row["label"] in ("parking", "micro")
    ] == [
        ("(all)", "parking", 1.0),
        ("(all)", "micro", 0.75),
        ("A", "parking", 1.0),
        ("A", "micro", 1.0),
        ("B", "parking", 1.0),
        ("B", "micro", 0.5),
    ]
    assert found.notes[0].endswith("'remark'")


def test_a_column_without_a_value_is_a_group_too(write: Write) -> None:
    assert {row["group"] for row in measure(write(TOPICS), group="remark").rows} == {"(all)", "(none)", "x"}


def test_texts_are_redacted_before_they_are_heard(write: Write) -> None:
    reader = Reader()
    told: list[tuple[int, int]] = []
    path = write("text,parking\n" + "write to ann@example.org,0\n" * 501)
    evaluate_topics(path, reader, TAXONOMY, progress=lambda done, total: told.append((done, total)))
    assert set(reader.heard) == {"write to [email]"}
    assert told == [(500, 501), (501, 501)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            'text,parking\na,1\n\n"b\nc",0\nd,2\n',
            "line 6: parking = '2': write 1 where the text has the topic, else 0",
        ),
        ("text,parking\na,1.0\n", "line 2: parking = '1.0'"),
        ("text,parking\na,yes\n", "line 2: parking = 'yes'"),
        (
            "txt,parking\na,1\n",
            "has no column 'text'; did you mean 'txt'?: it needs a column text and one column of",
        ),
        ("text,text,parking\na,b,1\n", "has the column 'text' 2 times: leave one"),
        ("text,trust\na,1\n", "has no column that is a topic: name columns by a topic's slug or name"),
        ("text,Parking,parking \na,1,1\n", "the columns 'Parking' and 'parking' both are the topic 'parking'"),
        ("text,food-drink,Food & Drink Provision\na,1,1\n", "both are the topic 'food-drink'"),
        ("text,parking\na,1,1\n", "line 2: 3 cells under 2 columns"),
        ("text,parking\n\na\n", "line 3: 1 cells under 2 columns"),
        ("text,parking\n", "has no line below its header"),
        ("", "is empty: the first line names the columns"),
        ("\n\n", "is empty"),
        ('text,parking\n"a,1\n', "line 2: is not CSV (unexpected end of data)"),
        ('text,parking\n"a"b,1\n', "line 2: is not CSV"),
        ("text,parking\na\0,1\n", "is not CSV: it has NUL"),
        ("text,parking\ncaf\xe9,1\n".encode("latin-1"), "is not UTF-8 text: save it as CSV UTF-8"),
        ("text,parking\na,1\n".encode("utf-16"), "is not UTF-8 text"),
        (b"PK\x03\x04\xff\x00", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_fix(write: Write, content: str | bytes, says: str) -> None:
    path = write(content)
    with pytest.raises(ConfigError) as refused:
        measure(path)
    assert str(refused.value).startswith(str(path))
    assert says in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file at .*none\.csv: check its name"):
        measure(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory; name a CSV file"):
        measure(tmp_path)


def test_a_group_that_is_no_column_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="has no column 'trusts'; did you mean 'trust'"):
        measure(write(TOPICS), group="trusts")


@pytest.mark.parametrize(
    "content",
    [
        "\ufefftext,a\nx,1\n",
        "text;a\nx;1\n",
        "text\ta\nx\t1\n",
        '\r\n"text","a"\r\n"x","1"\r\n',
        '"text","a"\r"x","1"\r',
    ],
)
def test_what_spreadsheets_write_is_read(write: Write, content: str) -> None:
    found = read_labelled(write(content))
    assert found.columns == ("text", "a")
    assert [list(line.cells) for line in found.lines] == [["x", "1"]]


def test_a_semicolon_in_the_last_column_name_is_no_separator(write: Write) -> None:
    assert read_labelled(write('text,"a;b, c"\nx,1\n')).columns == ("text", "a;b, c")


# --- sentiment


@pytest.mark.parametrize(
    ("label", "scale", "sentiment"),
    [
        ("NEG", None, "negative"),
        ("Neutral", None, "neutral"),
        ("neu", None, "neutral"),
        ("positive", None, "positive"),
        ("pos", None, "positive"),
        *((rank, Scale.FIVE_BEST, one) for rank, one in zip("12345", "nn0pp", strict=True)),
        *((rank, Scale.ONE_BEST, one) for rank, one in zip("12345", "pp0nn", strict=True)),
        ("4.0", Scale.FIVE_BEST, "positive"),
    ],
)
def test_a_label_means_a_sentiment(label: str, scale: Scale | None, sentiment: str) -> None:
    full = {"n": "negative", "0": "neutral", "p": "positive"}
    assert sentiment_of(label, scale) == full.get(sentiment, sentiment)


@pytest.mark.parametrize(
    ("label", "scale", "says"),
    [
        ("3", None, "say with --scale which end of the scale is good: 5-best or 1-best"),
        ("6", None, "write negative, neutral or positive"),
        ("positiv", None, "did you mean 'positive'"),
        ("pos", Scale.ONE_BEST, "on the scale 1-best a label is a number from 1 to 5"),
        ("2.5", Scale.FIVE_BEST, "a number from 1 to 5"),
    ],
)
def test_a_label_that_means_nothing_says_what_to_write(label: str, scale: Scale | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        sentiment_of(label, scale)


def test_sentiment_is_measured_by_class_with_what_was_taken_for_what(write: Write) -> None:
    path = write("text,sentiment\nnegative,neg\npositive,neg\nmeh,Neutral\npositive,POS\nx,\ny,NA\n")
    found = evaluate_sentiment(path, Reader())
    assert found.columns[-3:] == ("as_negative", "as_neutral", "as_positive")
    rows = by_label(found)
    assert list(rows) == ["negative", "neutral", "positive", "macro", "accuracy"]
    figures = {"label": "negative", "precision": 1.0, "recall": 0.5, "f1": 0.6667, "support": 2}
    assert rows["negative"] == figures | {"as_negative": 1, "as_neutral": 0, "as_positive": 1}
    assert rows["macro"]["f1"] == 0.7778
    assert (rows["accuracy"]["f1"], rows["accuracy"]["support"]) == (0.75, 4)
    assert found.notes == (
        "2 texts without a label left out",
        "1 text without a sentiment (language not read), taken for neutral",
    )


@pytest.mark.parametrize(
    ("header", "options", "accuracy"),
    [
        ("label", {"scale": Scale.ONE_BEST}, 1.0),
        ("label", {"scale": Scale.FIVE_BEST}, 0.0),
        ("sentiment_1_best_5_worst", {}, 1.0),
        ("Sentiment_1_Best_5_Worst", {"scale": Scale.FIVE_BEST}, 0.0),
        ("tone", {"column": "tone", "scale": Scale.ONE_BEST}, 1.0),
    ],
)
def test_numbers_are_labels_on_a_scale(
    write: Write, header: str, options: dict[str, object], accuracy: float
) -> None:
    found = evaluate_sentiment(write(f"{header},text\n1,positive\n5,negative\n"), Reader(), **options)
    assert by_label(found)["accuracy"]["f1"] == accuracy


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "text,tone\na,pos\n",
            "has no column of labels: name it sentiment or label, or say which with --column; there",
        ),
        ("text,label,sentiment\na,pos,pos\n", "has the columns 'label' and 'sentiment': say with --column"),
        ("text,sentiment\na,pos\nb,great\n", "line 3: sentiment = 'great': write negative, neutral or positive"),
        ("text,sentiment\na,\n", "no line has a label in 'sentiment'"),
        ("words,sentiment\na,pos\n", "has no column 'text'"),
    ],
)
def test_labels_that_are_wrong_are_refused(write: Write, content: str, says: str) -> None:
    path = write(content)
    with pytest.raises(ConfigError) as refused:
        evaluate_sentiment(path, Reader())
    assert str(path) in str(refused.value)
    assert says in str(refused.value)


# --- purpose


def test_a_purpose_is_read_in_any_case() -> None:
    assert purpose_of("News") is Purpose.NEWS
    with pytest.raises(ValueError, match="did you mean 'question'"):
        purpose_of("questions")


PURPOSES = """text,purpose
experience,Experience
experience,experience
question,experience
news,experience
experience?,experience
promotion,promotion
experience,promotion
other?,other
nothing,question
"""


def test_purpose_is_measured_and_so_is_what_enters_the_volumes(write: Write) -> None:
    found = evaluate_purpose(write(PURPOSES), Reader())
    rows = by_label(found)
    assert list(rows) == [
        *(purpose.value for purpose in Purpose),
        *("macro", "accuracy", "experience against the rest"),
        *("counted", "counted, though not care", "care, yet not counted"),
        *("waiting for review", "care, waiting for review"),
    ]
    taken = {purpose.value: rows["experience"][f"as_{purpose.value}"] for purpose in Purpose}
    assert {purpose: count for purpose, count in taken.items() if count} == {
        "experience": 3,
        "question": 1,
        "news": 1,
    }
    assert [rows["experience"][name] for name in ("precision", "recall", "f1", "support")] == [
        0.75,
        0.6,
        0.6667,
        5,
    ]
    assert rows["question"]["as_none"] == 1
    assert rows["experience against the rest"]["f1"] == 0.6667
    assert rows["accuracy"]["f1"] == round(5 / 9, 4)
    volumes = {label: (row["texts"], row["share"]) for label, row in rows.items() if "texts" in row}
    assert volumes == {
        "counted": (5, round(5 / 9, 4)),
        "counted, though not care": (1, 0.2),
        "care, yet not counted": (1, round(1 / 6, 4)),
        "waiting for review": (2, round(2 / 9, 4)),
        "care, waiting for review": (1, round(1 / 6, 4)),
    }
    assert found.notes == ("1 text without a purpose (language not read); volumes count such mentions",)


def test_where_every_purpose_is_heard_there_is_no_column_for_none(write: Write) -> None:
    found = evaluate_purpose(write("text,label\nnews,news\n"), Reader())
    assert found.notes == ()
    assert found.columns[-3:] == ("as_other", "texts", "share")
