"""The taxonomy's files: ours, one that stands by itself, and one that builds upon ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.errors import ConfigError
from listener.resources import config_file
from listener.signals.phrases import normalize
from listener.signals.taxonomy import (
    CPES_DOMAINS,
    HCAHPS_DOMAINS,
    PICKER_PRINCIPLES,
    Change,
    Taxonomy,
    Topic,
    differences,
)
from listener.signals.topics import TopicMatcher

Write = Callable[[str], Path]

GOOD = """
version = "1"
[groups]
access = "Access to care"
[[topics]]
slug = "waiting"
name = "Waiting"
group = "access"
definition = "How long it takes."
phrases = ["wait*"]
"""
EXTENDING = 'version = "7"\nextends = "shipped"\n'
CHAPEL = """
[[topics]]
slug = "chapel"
name = "Chapel"
group = "spirit"
definition = "Chaplains, and the chapel."
phrases = ["Chapel*", "prayer-room"]
phrases_fr = ["chapelle"]
"""


# --- a file that stands by itself


def test_a_taxonomy_of_ones_own_is_read(write_taxonomy: Write) -> None:
    more = """
exclude = ["wait and see"]
phrases_fr = ["attente"]
exclude_fr = ["en attente de"]
hcahps = ["responsiveness"]
cpes = ["admission"]
picker = ["fast-access"]
"""
    taxonomy = Taxonomy.load(write_taxonomy(GOOD + more))
    assert taxonomy == Taxonomy(
        "1",
        (
            Topic(
                slug="waiting",
                name="Waiting",
                group="access",
                definition="How long it takes.",
                phrases=("wait*",),
                exclude=("wait and see",),
                phrases_fr=("attente",),
                exclude_fr=("en attente de",),
                hcahps=("responsiveness",),
                cpes=("admission",),
                picker=("fast-access",),
                own_phrases=frozenset({"wait*", "attente"}),
                own=True,
            ),
        ),
        {"access": "Access to care"},
    )
    assert not taxonomy.extends_shipped
    assert taxonomy.base is None


def test_a_topic_may_be_told_in_french_alone(write_taxonomy: Write) -> None:
    (topic,) = Taxonomy.load(
        write_taxonomy(GOOD.replace('phrases = ["wait*"]', 'phrases_fr = ["attente"]'))
    ).topics
    assert (topic.phrases, topic.phrases_fr) == ((), ("attente",))


def test_a_byte_order_mark_is_no_mistake(write_taxonomy: Write) -> None:
    assert Taxonomy.load(write_taxonomy("\ufeff" + GOOD)).version == "1"


def test_a_taxonomy_is_a_value(write_taxonomy: Write) -> None:
    path = write_taxonomy(GOOD)
    assert Taxonomy.load(path) == Taxonomy.load(path)
    assert hash(Taxonomy.load(path)) == hash(Taxonomy.load(path))


def test_a_file_is_read_again_when_it_has_changed_and_not_before(write_taxonomy):
    path = write_taxonomy(GOOD)
    first = Taxonomy.load(path)
    assert Taxonomy.load(path) is first
    path.write_text(GOOD.replace('version = "1"', 'version = "1.1"'), encoding="utf-8")
    assert Taxonomy.load(path).version == "1.1"


SECOND = GOOD.split("[[topics]]")[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + "[[topics]]" + SECOND, "two topics have the slug 'waiting'"),
        (GOOD.replace('slug = "waiting"', 'slug = "all"'), "topics[0].slug = 'all': is reserved"),
        (GOOD.replace('slug = "waiting"', 'slug = "(untagged)"'), "topics[0].slug = '(untagged)'"),
        (
            GOOD.replace('slug = "waiting"', 'slug = "Waiting Times"'),
            "lower-case letters, digits and single hyphens",
        ),
        (GOOD.replace('slug = "waiting"\n', ""), "topics[0].slug is missing"),
        (GOOD.replace('slug = "waiting"', "slug = 5"), "topics[0].slug = 5"),
        (GOOD.replace('["wait*"]', "[]"), "topics[0].phrases = []: 'waiting' needs at least one of phrases and"),
        (GOOD.replace('["wait*"]', '["wait*", ""]'), "topics[0].phrases[1] = ''"),
        (GOOD.replace('["wait*"]', '["wa*t"]'), "topics[0].phrases[0] = 'wa*t': \"*\" stands only at the end"),
        (
            GOOD.replace('["wait*"]', '["Wait*", "wait*"]'),
            "topics[0].phrases[1] = 'wait*': stands there already as 'Wait*'; take one out",
        ),
        (GOOD + 'exclude = ["(a"]\n', "topics[0].exclude[0] = '(a'"),
        (GOOD + 'phrases_fr = ["(a"]\n', "topics[0].phrases_fr[0] = '(a'"),
        (GOOD + 'exclude = ["b", "b"]\n', "topics[0].exclude[1] = 'b': stands there already as 'b'"),
        (GOOD + 'exclude_fr = ["a", "A"]\n', "topics[0].exclude_fr[1] = 'A': stands there already as 'a'"),
        (GOOD + 'phrase = ["a"]\n', "unknown key topics[0].phrase; did you mean 'phrases'?"),
        (GOOD + 'without = ["a"]\n', "unknown key topics[0].without"),
        (GOOD + 'hcahps = ["nurse"]\n', "topics[0].hcahps[0] = 'nurse'"),
        (GOOD + 'cpes = ["pains"]\n', "topics[0].cpes[0] = 'pains'"),
        (GOOD + 'picker = ["comfort"]\n', "topics[0].picker[0] = 'comfort'"),
        (GOOD.replace("version", "versions"), "unknown key versions; did you mean 'version'?"),
        (GOOD.replace('version = "1"', ""), "version is missing"),
        (GOOD.replace('name = "Waiting"\n', ""), "topics[0].name is missing"),
        (
            GOOD.replace('group = "access"', 'group = "acess"'),
            "topics[0].group = 'acess': not in [groups]; did you mean",
        ),
        (GOOD.replace("access =", "Access ="), "groups.Access = 'Access': use lower-case letters"),
        (GOOD.replace('"Access to care"', '""'), "groups.access = ''"),
        (GOOD.replace("[groups]", "[group]"), "unknown key group; did you mean 'groups'?"),
        (GOOD + '[staff]\nname = "Staff"\n', "unknown key staff"),
        ('off = ["pain"]\n' + GOOD, "off = ['pain']: only with extends = \"shipped\""),
        ('extends = "ours"\n' + GOOD, "extends = 'ours': input should be 'shipped'"),
        ('version = "1"\ntopics = []\n', "topics = []"),
        ('version = "1"\ntopics = 5\n', "topics = 5: input should be a list"),
        ('version = "1"\ntopics = [5]\n', "topics[0] = 5: input should be a table"),
        ("version = ", "is not valid TOML"),
    ],
)
def test_a_taxonomy_that_is_wrong_is_refused_with_file_key_and_fix(
    write_taxonomy: Write, text: str, says: str
) -> None:
    path = write_taxonomy(text)
    with pytest.raises(ConfigError) as refused:
        Taxonomy.load(path)
    assert str(path) in str(refused.value)
    assert says in str(refused.value)


def test_a_taxonomy_that_stands_by_itself_names_its_groups(write_taxonomy: Write) -> None:
    with pytest.raises(ConfigError, match="groups is missing: name every category"):
        Taxonomy.load(write_taxonomy(GOOD.replace('[groups]\naccess = "Access to care"\n', "")))


def test_all_that_is_wrong_is_told_in_one_go(write_taxonomy: Write) -> None:
    path = write_taxonomy(
        GOOD.replace('version = "1"', "").replace('["wait*"]', '["a*"]')
        + "[[topics]]"
        + SECOND.replace('group = "access"', 'group = "staff"').replace('"waiting"', '"queue"')
        + 'hcahps = ["x"]\n'
    )
    with pytest.raises(ConfigError) as refused:
        Taxonomy.load(path)
    lines = str(refused.value).splitlines()
    assert [line.removeprefix(f"{path}: ").split(" ")[0] for line in lines] == [
        "version",
        "topics[0].phrases[0]",
        "topics[1].hcahps[0]",
    ]


def test_a_taxonomy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no taxonomy at .*none\.toml: correct topics\.file"):
        Taxonomy.load(tmp_path / "none.toml")


def test_a_taxonomy_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Taxonomy.load(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'version = "\xe9"')
    with pytest.raises(ConfigError, match="cannot be read"):
        Taxonomy.load(latin)


# --- a file that builds upon ours


def test_ours_is_ours_by_any_path(shipped: Taxonomy) -> None:
    assert shipped.extends_shipped
    assert shipped.base is None
    assert not any(topic.own or topic.own_phrases for topic in shipped.topics)
    assert Taxonomy.load(config_file("topics.toml")) == shipped
    for topic in shipped.topics:
        assert topic.group in shipped.groups
        assert set(topic.hcahps) <= set(HCAHPS_DOMAINS)
        assert set(topic.cpes) <= set(CPES_DOMAINS)
        assert set(topic.picker) <= set(PICKER_PRINCIPLES)


def test_a_file_that_only_extends_is_ours_under_another_version(write_taxonomy: Write, shipped: Taxonomy) -> None:
    taxonomy = Taxonomy.load(write_taxonomy(EXTENDING))
    assert (taxonomy.version, taxonomy.base) == (f"{shipped.version}+7", shipped.version)
    assert taxonomy.extends_shipped
    assert (taxonomy.topics, dict(taxonomy.groups)) == (shipped.topics, dict(shipped.groups))


def test_topics_are_switched_off(write_taxonomy: Write, shipped: Taxonomy) -> None:
    first, *others = shipped.slugs
    taxonomy = Taxonomy.load(write_taxonomy(f'{EXTENDING}off = ["{first}"]\n'))
    assert taxonomy.off == (first,)
    assert list(taxonomy.slugs) == others


def test_a_topic_and_a_group_are_added(write_taxonomy: Write, shipped: Taxonomy) -> None:
    text = f'{EXTENDING}[groups]\nspirit = "Spiritual care"\n{CHAPEL}'
    taxonomy = Taxonomy.load(write_taxonomy(text))
    assert taxonomy.slugs == (*shipped.slugs, "chapel")
    assert list(taxonomy.groups.items()) == [*shipped.groups.items(), ("spirit", "Spiritual care")]
    chapel = taxonomy.topics[-1]
    assert chapel.own
    assert chapel.own_phrases == {"chapel*", "prayer room", "chapelle"}
    assert [hit.slug for hit in TopicMatcher(Taxonomy("1", (chapel,))).match("The prayer room!")] == ["chapel"]


def test_a_topic_of_ours_is_changed(write_taxonomy: Write, shipped: Taxonomy) -> None:
    ours = shipped.topics[1]
    group = shipped.topics[-1].group
    first, second, *_ = ours.phrases
    taxonomy = Taxonomy.load(
        write_taxonomy(f"""{EXTENDING}
[[topics]]
slug = "{ours.slug}"
name = "Another name"
group = "{group}"
definition = "Another definition."
hcahps = []
cpes = ["pain"]
picker = ["family"]
without = ['{first.upper()}']
phrases = ["Zebra*", '{second}']
exclude = ["zebra crossing"]
phrases_fr = ["zèbre"]
exclude_fr = ["passage zébré"]
""")
    )
    assert taxonomy.slugs == shipped.slugs
    assert taxonomy.topics[1] == Topic(
        slug=ours.slug,
        name="Another name",
        group=group,
        definition="Another definition.",
        phrases=(*ours.phrases[1:], "Zebra*"),
        exclude=(*ours.exclude, "zebra crossing"),
        phrases_fr=(*ours.phrases_fr, "zèbre"),
        exclude_fr=(*ours.exclude_fr, "passage zébré"),
        hcahps=(),
        cpes=("pain",),
        picker=("family",),
        own_phrases=frozenset({"zebra*", normalize(second), "zèbre"}),
        own=False,
    )


def test_what_is_not_named_stays(write_taxonomy: Write, shipped: Taxonomy) -> None:
    slug = shipped.slugs[0]
    taxonomy = Taxonomy.load(write_taxonomy(f'{EXTENDING}[[topics]]\nslug = "{slug}"\n'))
    assert taxonomy.topics == shipped.topics


def test_an_exclusion_of_ours_can_be_taken_out_and_made_a_phrase(write_taxonomy: Write, shipped: Taxonomy) -> None:
    ours = next(topic for topic in shipped.topics if topic.exclude)
    phrase = ours.exclude[0]
    text = (
        f"{EXTENDING}[[topics]]\nslug = \"{ours.slug}\"\nwithout = ['''{phrase}''']\nphrases = ['''{phrase}''']\n"
    )
    topic = next(one for one in Taxonomy.load(write_taxonomy(text)).topics if one.slug == ours.slug)
    assert phrase in topic.phrases
    assert phrase not in topic.exclude


def quoted(phrase: str) -> str:
    return f"'''{phrase}'''"


def every_phrase_of(topic: Topic) -> str:
    return ", ".join(map(quoted, (*topic.phrases, *topic.phrases_fr)))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('off = ["{misspelt}"]', "off[0] = '{misspelt}': no topic of ours; did you mean '{slug}'?"),
        ("off = [{all}]", "off: no topic is left"),
        (
            '[[topics]]\nslug = "{misspelt}"\nphrases = ["x"]',
            "no topic of ours; did you mean '{slug}'?; a topic of your own",
        ),
        (
            '[[topics]]\nslug = "{slug}"\nwithout = ["no such phrase"]',
            "without[0] = 'no such phrase': '{slug}' has no such",
        ),
        ('[[topics]]\nslug = "{slug}"\nwithout = [{phrases}]', "no phrase of '{slug}' is left; off = ['{slug}']"),
        ('[[topics]]\nslug = "{slug}"\ngroup = "nowhere"', "topics[0].group = 'nowhere': not in [groups]"),
        ('[[topics]]\nslug = "{slug}"\nphrases = ["a*"]', "topics[0].phrases[0] = 'a*'"),
        ('[[topics]]\nslug = "{slug}"\nname = ""', "topics[0].name = ''"),
        ('[[topics]]\nslug = "{slug}"\nowns = ["x"]', "unknown key topics[0].owns"),
        ('[[topics]]\nslug = "{slug}"\n[[topics]]\nslug = "{slug}"', "two topics have the slug '{slug}'"),
        (CHAPEL, "topics[0].group = 'spirit': not in [groups]; name it there"),
        (CHAPEL.replace('name = "Chapel"\n', ""), "topics[0].name is missing"),
        ("[[topics]]\nslug = 5", "topics[0].slug = 5"),
    ],
)
def test_a_change_that_is_wrong_is_refused(write_taxonomy: Write, shipped: Taxonomy, more: str, says: str) -> None:
    topic = shipped.topics[0]
    names = {
        "slug": topic.slug,
        "misspelt": f"{topic.slug}x",
        "all": ", ".join(f'"{slug}"' for slug in shipped.slugs),
        "phrases": every_phrase_of(topic),
    }
    path = write_taxonomy(f"{EXTENDING}{more.format_map(names)}\n")
    with pytest.raises(ConfigError) as refused:
        Taxonomy.load(path)
    assert all(line.startswith(f"{path}: ") for line in str(refused.value).splitlines())
    assert says.format_map(names) in str(refused.value)


def test_a_phrase_that_is_nearly_ours_is_guessed(write_taxonomy: Write, shipped: Taxonomy) -> None:
    ours = max(shipped.topics, key=lambda topic: max(map(len, topic.phrases)))
    phrase = max(ours.phrases, key=len)
    path = write_taxonomy(f"{EXTENDING}[[topics]]\nslug = \"{ours.slug}\"\nwithout = ['''{phrase}s''']\n")
    with pytest.raises(ConfigError) as refused:
        Taxonomy.load(path)
    assert f"did you mean {phrase!r}?" in str(refused.value)


PLACES = st.lists(st.integers(0, 10_000), max_size=3)
NEW_WORDS = st.lists(st.text("bcdf", min_size=4, max_size=6).map("zq{}".format), max_size=3, unique=True)


@pytest.mark.no_cover
@settings(deadline=None, max_examples=40)
@given(place=st.integers(0, 10_000), out_places=PLACES, added=NEW_WORDS)
def test_what_is_taken_out_is_gone_and_what_is_added_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    shipped: Taxonomy,
    place: int,
    out_places: list[int],
    added: list[str],
) -> None:
    ours = shipped.topics[place % len(shipped.topics)]
    out = {ours.phrases[one % len(ours.phrases)] for one in out_places}
    path = tmp_path_factory.mktemp("taxonomy") / "topics.toml"
    lists = "\n".join(
        f"{key} = [{', '.join(map(quoted, some))}]" for key, some in (("without", out), ("phrases", added))
    )
    path.write_text(f'{EXTENDING}[[topics]]\nslug = "{ours.slug}"\n{lists}\n', encoding="utf-8")
    taxonomy = Taxonomy.load(path)
    changed = taxonomy.topics[shipped.slugs.index(ours.slug)]
    assert changed.phrases == (*(one for one in ours.phrases if one not in out), *added)
    assert changed.own_phrases == set(added)
    told = {one.change: one for one in differences(shipped, taxonomy) if one.change == "phrases"}
    assert bool(told) == bool(out or added)
    for one in told.values():
        assert (set(one.removed or ()), set(one.added or ())) == (out, set(added))


# --- comparing


def topic(slug: str, **changes: object) -> Topic:
    plain = {"name": slug, "group": "g", "definition": "d", "phrases": ("a", "b")}
    return Topic(slug=slug, **(plain | changes))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ([topic("a")], [topic("a")], []),
        ([topic("a")], [topic("a"), topic("b")], [Change("b", "added", added="b")]),
        ([topic("a"), topic("b")], [topic("b")], [Change("a", "gone", removed="a")]),
        ([topic("a")], [topic("a", name="A")], [Change("a", "renamed", "a", "A")]),
        ([topic("a")], [topic("a", group="h")], [Change("a", "moved", "g", "h")]),
        ([topic("a")], [topic("a", definition="e")], [Change("a", "redefined", "d", "e")]),
        ([topic("a")], [topic("a", phrases=("b", "c"))], [Change("a", "phrases", ("a",), ("c",))]),
        ([topic("a")], [topic("a", phrases=("B", "A"))], []),
        ([topic("a")], [topic("a", exclude=("x",))], [Change("a", "exclude", (), ("x",))]),
        ([topic("a", phrases_fr=("x",))], [topic("a")], [Change("a", "phrases_fr", ("x",), ())]),
        ([topic("a")], [topic("a", exclude_fr=("x",))], [Change("a", "exclude_fr", (), ("x",))]),
        ([topic("a", hcahps=("nurses",))], [topic("a")], [Change("a", "hcahps", ("nurses",), ())]),
        ([topic("a")], [topic("a", cpes=("pain",))], [Change("a", "cpes", (), ("pain",))]),
        ([topic("a")], [topic("a", picker=("family",))], [Change("a", "picker", (), ("family",))]),
    ],
)
def test_taxonomies_are_compared(old: list[Topic], new: list[Topic], told: list[Change]) -> None:
    assert list(differences(Taxonomy("1", tuple(old)), Taxonomy("2", tuple(new)))) == told


def test_switched_off_is_not_gone() -> None:
    whole, less = Taxonomy("1", (topic("a"), topic("b"))), Taxonomy("1+1", (topic("b"),), off=("a",))
    assert list(differences(whole, less)) == [Change("a", "switched off", removed="a")]
    assert list(differences(less, whole)) == [Change("a", "switched on", added="a")]
