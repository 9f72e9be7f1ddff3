from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.signals.identifiers import is_luhn, is_nhs_number
from listener.signals.redaction import Redactor

OWN = ("@StElsewhere", "u/StElsewhereOfficial", "UC123", "StElsewhere@mastodon.example")
REDACTOR = Redactor(OWN)

CONTACTS = [
    ("mail jane.roe+x@example.org now", "mail [email] now"),
    ("(Jane_Roe@mail.example.co.uk)", "([email])"),
    ("mailto:jane@example.org", "mailto:[email]"),
    ("jane dot roe at gmail dot com", "[email]"),
    ("janeroe (at) hotmail (dot) com", "[email]"),
    ("jane at protonmail.com", "[email]"),
    (".@janeroe thanks", ".[handle] thanks"),
    ("@janeroe's mum and @jane.roe-1!", "[handle]'s mum and [handle]!"),
    ("\uff20janeroe hi", "[handle] hi"),
    ("@1direction fan", "[handle] fan"),
    ("@jane@social.example hi", "[handle] hi"),
    ("u/janeroe, /u/jane_roe-1", "[handle], [handle]"),
    ("mail a@b.org@name", "mail [email][handle]"),
    ("https://user:secret@news.example/a/b?id=1&x=2#part.", "https://news.example/a/b."),
    ("(see www.example.org/x?y=1)", "(see www.example.org/x)"),
    ("t.co/abc?x=1 and example.org/#top", "t.co/abc and example.org/"),
    ("HTTPS://Example.ORG?token=abc", "HTTPS://Example.ORG"),
    ("https://x.com/janeroe/status/123", "https://x.com/[handle]/status/123"),
    ("https://www.instagram.com/jane.roe/", "https://www.instagram.com/[handle]/"),
    ("https://www.reddit.com/user/janeroe/comments", "https://www.reddit.com/user/[handle]/comments"),
    ("https://www.linkedin.com/in/jane-roe", "https://www.linkedin.com/in/[handle]"),
    ("https://medium.example/@janeroe/story", "https://medium.example/[handle]/story"),
]
PHONES = [
    ("call 416-555-1234 now", "call [phone] now"),
    ("(613) 555 0199 ext 12.", "[phone]."),
    ("+1.416.555.1234x99", "[phone]"),
    ("1-800-555-0199", "[phone]"),
    ("4165550123", "[phone]"),
    ("416 555-0123/416 555-0124", "[phone]/[phone]"),
    ("020 7946 0958, 07700 900123", "[phone], [phone]"),
    ("(0161) 496 0123", "[phone]"),
    ("+44 20 7946 0958", "[phone]"),
    ("0044 7700 900123 ext. 4", "[phone]"),
    ("ring +33 1 42 68 53 00 please", "ring [phone] please"),
    ("text me at 555-1234", "text me at [phone]"),
    ("1 4165550123 or 14165550123", "[phone] or [phone]"),
]
IDENTIFIERS = [
    ("my card is 1234-567-890-AB", "my card is [health number]"),
    ("1234567890AB", "[health number]"),
    ("OHIP 1234567890", "OHIP [health number]"),
    ("PHN: 9123 456 789", "PHN: [health number]"),
    ("health card number is 123456789", "health card number is [health number]"),
    ("NHS number 943 476 5919", "NHS number [health number]"),
    ("it is 943 476 5919", "it is [health number]"),
    ("it is 9434765919", "it is [health number]"),
    ("RAMQ TREM 5702 1812", "RAMQ [health number]"),
    ("TREM57521812", "[health number]"),
    ("MRN: 1234567", "MRN: [record number]"),
    ("mrn is A1234567", "mrn is [record number]"),
    ("chart no. 00123456", "chart no. [record number]"),
    ("patient ID 12-34567", "patient ID [record number]"),
    ("file # 99-12345", "file # [record number]"),
    ("hospital number K123456", "hospital number [record number]"),
    ("SIN 046 454 286", "SIN [id number]"),
    ("046-454-286", "[id number]"),
    ("ssn 123-45-6789", "ssn [id number]"),
    ("123-45-6789", "[id number]"),
    ("my NI is AB 12 34 56 C", "my NI is [id number]"),
    ("passport no 123456789", "passport no [id number]"),
    ("DOB 12/03/1956", "DOB [date of birth]"),
    ("d.o.b.: 1956-03-12", "d.o.b.: [date of birth]"),
    ("born on 3 March 1961", "born on [date of birth]"),
    ("Date of birth: March 3rd, 1961!", "Date of birth: [date of birth]!"),
    ("her birthday is the 3rd of May", "her birthday is the [date of birth]"),
]
ADDRESSES = [
    ("at 12 Elm Street West, Apt 4, please", "at [address], please"),
    ("221B Baker Street, London NW1 6XE", "[address], London [address]"),
    ("123 MAIN ST", "[address]"),
    ("Unit 5, 44-46 Old Mill Rd.", "[address]"),
    ("500 Fifth Avenue, New York, NY 10001", "[address], New York, NY [address]"),
    ("1600 5th Ave", "[address]"),
    ("45 Rose Dr, Toronto", "[address], Toronto"),
    ("9 Fern Close, Leeds", "[address], Leeds"),
    ("I live at 44 maple road please", "I live at [address] please"),
    ("moved to 7 the old mill lane", "moved to [address]"),
    ("P.O. Box 123", "[address]"),
    ("K1A 0B1, k1a0b1", "[address], [address]"),
    ("SW1A 1AA", "[address]"),
    ("postcode sw1a 1aa, zip 90210-1234", "postcode [address], zip [address]"),
]


@pytest.mark.parametrize(("text", "redacted"), CONTACTS + PHONES + IDENTIFIERS + ADDRESSES)
def test_what_points_at_a_person_goes(text: str, redacted: str) -> None:
    assert REDACTOR.redact(text) == redacted
    assert REDACTOR.redact(f"Well,\n{text}\n\u2026and so on") == f"Well,\n{redacted}\n\u2026and so on"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No digits, no signs: nothing to do.",
        "waited 10 2 hours on 2024-10-12 14:30",
        "2019-2020-2021 it cost $1,200,000.00",
        "$416 555 1234 and \u00a3020 7946 0958",
        "10/12/2020 and 12.05.2021 10:30",
        "2024/10/12 10:30:00, 20241012",
        "room 200-2500, 12345 steps, 1500 beds",
        "2 minutes down the road, a 20 minute drive, 3 nurses close by",
        "In 2019 Then Dr. Roe saw me; 5 Stars Way better",
        "A1C 5.8, B12 5MG, ward B4 3RD floor, S1 5GB, H1N1, COVID-19",
        "insulin 10 u/hour, 5 u/mL, 10 u/day, w/u/d and/or r/toronto",
        "see you @7pm, @ 10, @10:30, @2",
        "NEWS 2024 2025",
        "call 911, 999, 111, 811, 988",
        "BP 120/80, 98.6, 3-4 days, 24/7, 50/50, 10/10, 9-5",
        "chart number 2, patient 5, file 3, account 2024 report, policy 2024-2025",
        "born in 1956, born 5 weeks early, my birthday cake",
        "Patient 12 of 24 waited 1 2 3 hours",
        "1700000000 seconds, 1 000 000 people, 123 456 789 views",
        "the NHS 2023 2024 plan, NHS 70 years",
        "2020 2021 2022 2023 2024",
        "10.00 - 11.30 - 12.45; patients 1500 1600 1700",
        "143 476 5918 and 046 454 287 fail their check digits",
        "7777777777 zeros",
        "id 1234567890123456789012345",
        "1" * 200,
        "call 555 times",
        "lives at 3 am",
        "zip it, post it, the box 5",
        "r/AskDocs, https://example.org/a/b, https://www.facebook.com/groups/5",
        "@StElsewhere, .@stelsewhere's nurses, \uff20StElsewhere, @StElsewhere@mastodon.example",
        "u/StElsewhereOfficial and /u/stelsewhereofficial",
        "https://x.com/StElsewhere/status/9 https://www.youtube.com/@StElsewhere",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert REDACTOR.redact(text) == text


def test_without_own_handles_every_handle_goes() -> None:
    assert Redactor().redact("@StElsewhere") == "[handle]"


FRAGMENTS = st.sampled_from(
    [text for text, _ in CONTACTS + PHONES + IDENTIFIERS + ADDRESSES]
    + [
        "@",
        "a",
        "a@b.org",
        "u/",
        "/u/",
        "x.com/",
        "https://",
        "?x",
        "#y",
        "[handle]",
        "[",
        "]",
        "-",
        ".",
        ",",
        "\n",
    ]
    + ["416", "555", "1234", "07700", "\u00a0", "MRN:", "born", "dob", "12", "3"]
    + [" ", "\ud800", "\x00", "\u0663", "\U0001f600", "\u00df", "live at ", "Elm St", "K1A", "0B1"]
)


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.lists(FRAGMENTS, max_size=12).map("".join), st.text(max_size=200)))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    redacted = REDACTOR.redact(text)
    assert REDACTOR.redact(redacted) == redacted


@settings(deadline=None)
@given(st.lists(st.sampled_from(CONTACTS + PHONES + IDENTIFIERS + ADDRESSES), max_size=6))
def test_each_thing_goes_whatever_stands_on_the_next_line(pairs: list[tuple[str, str]]) -> None:
    text = "\n\u2014\n".join(text for text, _ in pairs)
    assert REDACTOR.redact(text) == "\n\u2014\n".join(redacted for _, redacted in pairs)


HOSTILE = [
    *(
        "(",
        "+",
        "1",
        "1 ",
        "1-",
        "1.",
        "(1",
        "+1",
        "0 ",
        "01234 ",
        "+44 20 ",
        "416 555 12",
        "416-555-1234 ",
        "07700 90012 ",
    ),
    *(
        "a.",
        "a-",
        "a@",
        "@a",
        "@a@",
        "a@b.co@c",
        "[email]@",
        "x at gmail dot ",
        "a dot ",
        "u/",
        "https://",
        "www.",
    ),
    *("a.b/", "x.com/a/", "@a/", "12 A ", "12 Aaa Bbb ", "A1", "live at 1 a ", "MRN: ", "NHS no : ", "file # 1"),
    *("born on the ", "call me at ", "\u0661", " ", "\ud800@", "https://a@"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_length_of_the_text_alone(piece: str) -> None:
    # The number in front opens the gates that spare texts without digits.
    text = "987654321 " + piece * (100_000 // len(piece))
    begun = time.process_time()
    REDACTOR.redact(text)
    assert time.process_time() - begun < 5


def test_check_digits() -> None:
    assert is_nhs_number("9434765919")
    assert not is_nhs_number("9434765918")
    assert not is_nhs_number("0000000000")
    assert is_luhn("046454286")
    assert not is_luhn("046454287")
