"""The trained models: their arithmetic on a model made by hand, and their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mention import Purpose
from listener.signals.featurizer import Features
from listener.signals.models import (
    WEIGHTS,
    Models,
    WeightsError,
    Word,
    hint_feature,
    models_version,
    read_models,
    rule_feature,
    shipped_models,
)
from listener.signals.taxonomy import Taxonomy

FEATURES = ["!", "good", "bad", "wait", "~goo", "~bad", "~wai", "cue:question", "rule:parking", "hint:news"]
KINDS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
WEIGHT = [2.5, 1.0, 3.0, 2.0, 1.0, 4.0, 2.0, 0.3, 0.6, 0.6]
PURPOSES = ["experience", "question", "news"]
DOMAINS = ["tweets", "reviews"]
TOPICS = {
    "parking": {"slope": 2.0, "offset": 0.5, "threshold": 0.5},
    "food": {"slope": 1.0, "offset": -1.0, "threshold": 0.3},
}
DOCUMENT: dict[str, Any] = {
    "features": FEATURES,
    "lexicon": {"good": 3, "bad": -3},
    "topics": TOPICS,
    "purposes": {"labels": PURPOSES, "temperature": 1.5, "counted_from": 0.8, "left_out_to": 0.3},
    "sentiment": {"domains": DOMAINS, "nudges": [[0.0, 0.1, 0.0], [0.2, 0.0, 0.0]], "temperature": 0.8},
}


COLUMNS = len(TOPICS) + len(PURPOSES) + len(DOMAINS) + 3 * len(DOMAINS)


def arrays_of() -> dict[str, Any]:
    chance = np.random.default_rng(5)
    return {
        "weight": np.array(WEIGHT, np.float32),
        "kind": np.array(KINDS, np.uint8),
        "weights": chance.integers(-127, 128, (len(FEATURES), COLUMNS), np.int8),
        "scale": chance.uniform(0.01, 0.03, COLUMNS).astype(np.float32),
        "bias": chance.uniform(-1, 1, COLUMNS).astype(np.float32),
    }


ARRAYS = arrays_of()
TINY = Models(DOCUMENT, ARRAYS, "tiny-1")

Text = tuple[frozenset[int], tuple[frozenset[int], ...]]
"""The numbers of a text's features, and of each word's pieces."""

TEXTS_OF_ONE = st.tuples(
    st.frozensets(st.sampled_from([number for number, kind in enumerate(KINDS) if kind != 1])),
    st.lists(st.frozensets(st.sampled_from([4, 5, 6])), max_size=4).map(tuple),
)
TEXTS = st.lists(TEXTS_OF_ONE, min_size=1, max_size=12)


def features_of(text: Text) -> Features[Word]:
    numbers, words = text
    return Features(tuple(numbers), tuple(Word(tuple(sorted(word))) for word in words))


def scores(text: Text) -> Any:
    """What a text scores, written out: a vector, each kind of which is brought to length, times the matrix."""
    numbers, words = text
    vector, pieces = np.zeros(len(FEATURES)), np.zeros(len(FEATURES))
    for number in numbers:
        vector[number] = WEIGHT[number]
    mine = np.array(KINDS) == 0
    if length := np.linalg.norm(vector[mine]):
        vector[mine] /= length
    for word in words:
        for piece in word:
            pieces[piece] += WEIGHT[piece]
    squares = sum(WEIGHT[piece] ** 2 for word in words for piece in word)
    vector += pieces / (np.sqrt(squares) or 1)
    return vector @ (ARRAYS["weights"] * ARRAYS["scale"]) + ARRAYS["bias"]


def softmax(values: Any) -> Any:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


# --- the arithmetic


@given(TEXTS_OF_ONE)
def test_a_text_has_the_probabilities_that_its_features_add_up_to(text: Text) -> None:
    topics, purposes, tones = TINY.mentions([features_of(text)])
    added = scores(text)
    slopes, offsets = ([judge[key] for judge in TOPICS.values()] for key in ("slope", "offset"))
    assert topics[0] == pytest.approx(1 / (1 + np.exp(-(added[:2] * slopes + offsets))), abs=1e-5)
    assert purposes[0] == pytest.approx(softmax(added[2:5] * 1.5), abs=1e-5)
    experts = added[7:].reshape(2, 3) + DOCUMENT["sentiment"]["nudges"]
    expected = softmax((softmax(added[5:7])[:, None] * experts).sum(axis=0) * 0.8)
    assert tones[0] == pytest.approx(expected, abs=1e-5)


@given(TEXTS)
def test_probabilities_are_probabilities(texts: list[Text]) -> None:
    topics, purposes, tones = TINY.mentions([*map(features_of, texts)])
    assert (topics.shape, purposes.shape, tones.shape) == ((len(texts), 2), (len(texts), 3), (len(texts), 3))
    assert ((topics >= 0) & (topics <= 1)).all()
    for several in (purposes, tones):
        assert ((several >= 0) & (several <= 1)).all()
        assert several.sum(axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)


@given(TEXTS)
def test_no_text_changes_what_another_has(texts: list[Text]) -> None:
    together = TINY.mentions([*map(features_of, texts)])
    for number, text in enumerate(texts):
        for kind, alone in zip(together, TINY.mentions([features_of(text)]), strict=True):
            assert (kind[number] == alone[0]).all()


def test_a_text_without_features_is_not_read_as_the_first_feature() -> None:
    nothing, first = Features[Word]((), ()), Features[Word]((0,), ())
    _, purposes, _ = TINY.mentions([nothing, first, nothing])
    assert purposes[0] == pytest.approx(softmax(ARRAYS["bias"][2:5] * 1.5), abs=1e-5)
    assert (purposes[0] == purposes[2]).all()
    assert (purposes[0] != purposes[1]).any()


def test_more_texts_than_are_added_up_at_a_time() -> None:
    some = [features_of((frozenset({number % 4, 7 + number % 3}), (frozenset({4}),))) for number in range(600)]
    some[255] = some[256] = Features((), ())
    together = TINY.mentions(some)
    assert [len(kind) for kind in together] == [600, 600, 600]
    for number in (0, 254, 255, 256, 257, 511, 512, 599):
        for kind, alone in zip(together, TINY.mentions([some[number]]), strict=True):
            assert (kind[number] == alone[0]).all()


@given(TEXTS)
def test_sentiments_alone_are_those_among_the_others(texts: list[Text]) -> None:
    some = [*map(features_of, texts)]
    _, _, tones = TINY.mentions(some)
    assert (TINY.sentiments(some) == tones).all()


def test_no_text_at_all() -> None:
    assert [len(kind) for kind in TINY.mentions([])] == [0, 0, 0]
    assert TINY.sentiments([]).shape == (0, 3)


# --- the files

WriteModels = Callable[..., Path]


@pytest.fixture
def write_models(tmp_path: Path) -> WriteModels:
    """Writes the model made by hand, with its manifest, and returns the folder."""

    def write(version: str = "tiny-1") -> Path:
        (tmp_path / "signals.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
        np.savez(tmp_path / "signals.npz", **ARRAYS)
        digests = {
            name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
            for name in ("signals.json", "signals.npz")
        }
        manifest = {"version": version, "sha256": digests}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return tmp_path

    return write


def test_models_are_read_from_their_files(write_models: WriteModels) -> None:
    models = read_models(write_models("tiny-7"))
    assert models.version == "tiny-7"
    assert models.vocabulary == {name: number for number, name in enumerate(FEATURES)}
    assert (models.purposes, models.counted_from, models.left_out_to) == (tuple(PURPOSES), 0.8, 0.3)
    assert list(models.judges) == ["parking", "food"]
    assert models.judges["food"].threshold == 0.3
    text = models.featurizer.read("good!").whole
    assert text.numbers == (1, 0)
    assert [word.pieces for word in text.words] == [(4,)]
    for read, made in zip(models.mentions([text]), TINY.mentions([text]), strict=True):
        assert (read == made).all()


@pytest.mark.parametrize("name", ["manifest.json", "signals.json", "signals.npz"])
def test_a_missing_file_is_named(write_models: WriteModels, name: str) -> None:
    folder = write_models()
    (folder / name).unlink()
    with pytest.raises(WeightsError, match="cannot be read: No such file") as refused:
        read_models(folder)
    assert str(folder / name) in str(refused.value)


@pytest.mark.parametrize("name", ["signals.json", "signals.npz"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "longer", "empty"])
def test_a_damaged_file_is_named(write_models: WriteModels, name: str, damage: str) -> None:
    folder = write_models()
    whole = (folder / name).read_bytes()
    middle = len(whole) // 2
    (folder / name).write_bytes(
        {
            "cut": whole[:middle],
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "longer": whole + b" ",
            "empty": b"",
        }[damage]
    )
    with pytest.raises(WeightsError, match="not the file that Listener was shipped with") as refused:
        read_models(folder)
    assert str(folder / name) in str(refused.value)


@pytest.mark.parametrize(
    "manifest", ["", "{", "[]", "5", "{}", '{"version": "1"}', '{"version": "1", "sha256": 5}', "\xff"]
)
def test_a_damaged_manifest_is_named(write_models: WriteModels, manifest: str) -> None:
    folder = write_models()
    (folder / "manifest.json").write_bytes(manifest.encode("latin-1"))
    with pytest.raises(WeightsError, match="not the file that Listener was shipped with") as refused:
        read_models(folder)
    assert str(folder / "manifest.json") in str(refused.value)


def test_a_file_that_the_manifest_does_not_know_is_not_read(write_models: WriteModels) -> None:
    folder = write_models()
    (folder / "manifest.json").write_text('{"version": "1", "sha256": {}}', encoding="utf-8")
    with pytest.raises(WeightsError, match=r"signals\.json is not the file"):
        read_models(folder)


# --- those that are shipped


def test_the_version_is_known_without_reading_the_models() -> None:
    before = shipped_models.cache_info()
    version = models_version()
    assert shipped_models.cache_info() == before
    assert version == json.loads((WEIGHTS / "manifest.json").read_text(encoding="utf-8"))["version"]


def test_the_shipped_models_are_read_once_and_fit_the_rest(shipped: Taxonomy) -> None:
    models = shipped_models()
    assert models is shipped_models()
    assert models.version == models_version()
    assert set(models.purposes) == set(Purpose)
    assert set(models.judges) <= set(shipped.slugs)
    assert 0 < models.left_out_to < 0.5 < models.counted_from < 1
    assert all(0 < judge.threshold < 1 for judge in models.judges.values())


def test_rules_and_hints_are_features_by_their_slugs() -> None:
    assert (rule_feature("parking"), hint_feature("news-wire")) == ("rule:parking", "hint:news-wire")


def test_a_hint_says_nothing_of_topics_a_rule_nothing_of_purposes_and_neither_of_tone() -> None:
    """Where a long text is read in pieces, its pieces carry rules alone and its whole hints alone."""
    models = shipped_models()
    text = models.featurizer.read("We waited nine hours in emergency").whole
    rules, hints = (
        [number for name, number in models.vocabulary.items() if name.startswith(kind)]
        for kind in ("rule:", "hint:")
    )
    assert len(rules) > 10
    assert len(hints) > 10
    plain_topics, plain_purposes, plain_tones = models.mentions([text])
    hinted, ruled = models.mentions([text.and_also(hints)]), models.mentions([text.and_also(rules)])
    assert hinted[0] == pytest.approx(plain_topics, abs=1e-6)
    assert ruled[1] == pytest.approx(plain_purposes, abs=1e-6)
    for either in (hinted, ruled):
        assert either[2] == pytest.approx(plain_tones, abs=1e-6)
