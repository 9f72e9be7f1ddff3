"""The language of searches: what is read, and every way in which it cannot be."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.errors import ConfigError
from storage.expression import (
    DEEPEST,
    MOST_CHARACTERS,
    MOST_TERMS,
    MOST_TOKENS,
    Every,
    Node,
    Some,
    Term,
    Without,
    parse,
)


def word(*tokens: str) -> Term:
    return Term(tokens)


A, B, C, D = (word(letter) for letter in "abcd")


@pytest.mark.parametrize(
    ("expression", "node"),
    [
        ("Parking", word("parking")),
        ("  a  ", A),
        ("a b", Every((A, B))),
        ("a AND b c", Every((A, B, C))),
        ("a OR b", Some((A, B))),
        ("a b OR c d", Some((Every((A, B)), Every((C, D))))),
        ("a (b OR c)", Every((A, Some((B, C))))),
        ("NOT a b", Every((Without(A), B))),
        ("-a", Without(A)),
        ("−a", Without(A)),  # noqa: RUF001 - the minus sign is meant
        ("a -b OR -c", Some((Every((A, Without(B))), Without(C)))),
        ("NOT (a OR b)", Without(Some((A, B)))),
        ('-"a b"', Without(word("a", "b"))),
        ("NOT NOT a", Without(Without(A))),
        ("((a))", A),
        ("a(b)c", Every((A, B, C))),
        ('"a b" c', Every((word("a", "b"), C))),
        ("“a b”", word("a", "b")),
        ("« a b »", word("a", "b")),
        ('a"b"', Every((A, B))),
        ("l'hôpital", word("l", "hopital")),
        ("covid-19", word("covid", "19")),
        ("and or not And", Every((word("and"), word("or"), word("not"), word("and")))),
        ('"AND"', word("and")),
        ("park*", Term(("park",), is_beginning=True)),
        ('"long wait*"', Term(("long", "wait"), is_beginning=True)),
        ('"long wait* "', Term(("long", "wait"), is_beginning=True)),
        ("l'hôp*", Term(("l", "hop"), is_beginning=True)),
        ("he\u0301*", Term(("he",), is_beginning=True)),
        ("東*", Term(("東",), is_beginning=True)),
        ("😡", word("😡")),
    ],
)
def test_what_is_read(expression: str, node: Node) -> None:
    assert parse(expression) == node


DEEP = "(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1)


@pytest.mark.parametrize(
    ("expression", "at", "why"),
    [
        ('a "b c', 3, 'this quote is not closed; write a second "'),
        ('a""', 2, "there is nothing in these quotes; write a word into them"),
        ('" "', 1, "there is nothing in these quotes"),
        ('"?!"', 1, "these quotes hold nothing but signs, which are not searched for; write a word"),
        ("a ?!", 3, "this is nothing but signs, which are not searched for; write a word"),
        ("a - b", 3, "this is nothing but signs"),
        ("(a OR b", 1, 'this "(" is not closed; write a ")"'),
        ("a (", 3, 'this "(" is not closed'),
        ("a)", 2, 'this ")" closes nothing; take it away, or open it with "("'),
        (")", 1, 'this ")" closes nothing'),
        ("a ()", 3, "there is nothing in these parentheses; write a word into them"),
        (
            "a AND",
            3,
            'nothing to look for stands after "AND"; write a word there, or "AND" in quotes for the word',
        ),
        ("AND a", 1, 'nothing to look for stands before "AND"; write a word there, or "AND" in quotes'),
        ("a OR OR b", 3, 'nothing to look for stands after "OR"'),
        ("(OR a)", 2, 'nothing to look for stands before "OR"'),
        ("a OR )", 3, 'nothing to look for stands after "OR"'),
        ("NOT", 1, 'nothing to look for stands after "NOT"'),
        ("a -(", 4, 'this "(" is not closed'),
        ("(-)", 2, 'nothing to look for stands after "-"; write a word there'),
        ("*", 1, '"*" alone looks for nothing; write the beginning of a word before it'),
        ('"*"', 1, '"*" alone looks for nothing'),
        ("p*", 2, 'at least 2 letters stand before "*"; write more of the word'),
        ("pa*rk", 3, '"*" stands for the rest of a word and comes at its end'),
        ('"pa* rk"', 4, "take this one away"),
        ("pa**", 3, "take this one away"),
        ('"park *"', 7, 'no letter stands right before this "*"; write the beginning of a word there'),
        ("park-*", 6, 'no letter stands right before this "*"'),
        (DEEP, DEEPEST + 1, f"more than {DEEPEST} levels lie within one another; write it flatter"),
        ("-" * DEEPEST + "-a", DEEPEST + 1, "levels lie within one another"),
        ("ab " * (MOST_TERMS + 1), 3 * MOST_TERMS + 1, "there are more than 64 words and phrases"),
        ('"' + "ab " * (MOST_TOKENS + 1) + '"', 1, "there are more than 128 words; ask in several searches"),
    ],
)
def test_what_cannot_be_read_is_shown_in_its_place(expression: str, at: int, why: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(expression)
    first, shown, mark = str(told.value).split("\n")
    assert first.startswith(f"the search fails at character {at}: ")
    assert why in first
    assert shown[mark.index("^")] == expression[at - 1]


@pytest.mark.parametrize("expression", ["", "  \n"])
def test_nothing_is_no_search(expression: str) -> None:
    with pytest.raises(ConfigError, match="the search is empty: write a word to look for"):
        parse(expression)


def test_a_search_has_an_end() -> None:
    with pytest.raises(ConfigError, match=r"the search has 2,001 characters; at most 2,000 are read"):
        parse("a" * (MOST_CHARACTERS + 1))
    assert parse("a" * MOST_CHARACTERS)
    assert parse("(" * DEEPEST + "a" + ")" * DEEPEST) == A


def test_depth_is_counted_where_it_is() -> None:
    assert parse("(a) " * 20)
    assert parse("-a " * 20)


def test_what_a_terminal_obeys_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as told:
        parse('\x1b[2J "a')
    assert "\x1b" not in str(told.value)


@given(st.text(st.sampled_from('ab é"()*-\n“ANDORT! '), max_size=30))
def test_anything_is_read_or_refused(expression: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(expression), Node)
