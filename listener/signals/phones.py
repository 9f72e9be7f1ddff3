"""Telephone numbers in a text, as people in Canada, the United States and the United Kingdom write them."""

from __future__ import annotations

import re

from phonenumbers import Leniency, PhoneNumberMatcher

PHONE = "[phone]"

_EXTENSION = r"(?:,?\s{0,2}(?:ext|extension|x)\.?\s?\d{1,6}(?!\w))?"
# North American numbers in three groups are taken by their shape, whether or not the area code is in service.
_GROUPED = re.compile(
    r"(?<![\w$£€.,-])(?:\+?1[\s.-]?)?(?:\([2-9]\d\d\)[\s.-]{0,2}|[2-9]\d\d[\s.\u2010-\u2013-])"
    rf"[2-9]\d\d[\s.\u2010-\u2013-]\d{{4}}(?!\d|[.,]\d){_EXTENSION}",
    re.IGNORECASE,
)
# British numbers begin with 0, or 0044 from abroad; their groups vary, so the digits are counted.
_BRITISH = re.compile(
    r"(?<![\w$£€.,:/-])\(?0(?:044[\s.-]?)?\(?\d{2,4}\)?(?:[\s.-]?\d{2,4}){2,3}(?![\w/-]|[.,:]\d)" + _EXTENSION
)
_BRITISH_LENGTHS = {False: range(10, 12), True: range(13, 15)}
# Seven digits are a telephone number only where somebody is told to use it.
_LOCAL = re.compile(
    r"(?<!\w)((?:call|called|calling|phone|ph|tel|telephone|cell|mobile|text|txt|ring|fax|number)"
    rf"(?: ?(?:me|us|him|her|them|at|on|is|:|#|=|number|no\.?)){{0,4}} ?)"
    rf"[2-9]\d\d[ .-]\d{{4}}(?![\w-]|[.,]\d){_EXTENSION}",
    re.IGNORECASE,
)
_SEVEN_DIGITS = re.compile(r"\d(?:[\s().\-\u2010-\u2013]{0,3}\d){6}")
_ENOUGH_DIGITS = re.compile(r"\d(?:[\s().\-\u2010-\u2013/]{0,3}\d){8}")
# The matcher tries every way to cut a run into numbers; nobody writes one longer than this.
_LONGEST_RUN = 120
# Bounded, or a hostile row of brackets would be searched to its end from each of them.
_RUN = re.compile(rf"[+(\d][\d\s().\-\u2010-\u2013/+]{{5,{_LONGEST_RUN}}}\d")
_DIGIT_GROUPS = re.compile(r"\d+")
_NORTH_AMERICA = ([10], [3, 7], [6, 4], [3, 3, 4])


def redact_phones(text: str) -> str:
    """Return ``text`` without telephone numbers, with their extensions."""
    if not _SEVEN_DIGITS.search(text):
        return text
    text = _LOCAL.sub(rf"\1{PHONE}", _GROUPED.sub(PHONE, text))
    text = _BRITISH.sub(_british, text)
    if not _ENOUGH_DIGITS.search(text):
        return text
    return _RUN.sub(_redact_run, text)


def _british(match: re.Match[str]) -> str:
    digits = "".join(_DIGIT_GROUPS.findall(re.split(r"[ex,]", match[0], maxsplit=1, flags=re.IGNORECASE)[0]))
    return PHONE if len(digits) in _BRITISH_LENGTHS[digits.startswith("0044")] else match[0]


def _redact_run(match: re.Match[str]) -> str:
    run = match[0]
    before = match.string[match.start() - 1 : match.start()]
    if len(run) > _LONGEST_RUN or before.isalnum() or before in ("$", "£", "€", "_"):
        return run
    # A Canadian default covers the whole North American plan.
    for region in ("CA", "GB"):
        for found in reversed(list(PhoneNumberMatcher(run, region, leniency=Leniency.VALID))):
            if _written_as_number(found.raw_string):
                run = run[: found.start] + PHONE + run[found.end :]
    return run


def _written_as_number(raw: str) -> bool:
    """Tell a number from dates, sums and series that would be valid if somebody dialled them."""
    groups = [len(group) for group in _DIGIT_GROUPS.findall(raw)]
    digits = "".join(_DIGIT_GROUPS.findall(raw))
    if raw.lstrip("( ").startswith("+"):
        return True
    if digits.startswith("1") and sum(groups) == 11:  # noqa: PLR2004 - the country code and ten digits
        groups = groups[1:] if groups[0] == 1 else [groups[0] - 1, *groups[1:]]
    return groups in _NORTH_AMERICA
