"""Numbers that identify a patient: health cards, hospital records, social insurance, dates of birth.

Sources of the shapes: Ontario health card, ten digits and a version code of two letters; British Columbia, ten
digits from 9; Quebec, four letters, then the birth date with 50 added to a woman's month, and two digits; UK
NHS number, ten digits of which the last is a check modulo 11 (NHS Data Dictionary); Canadian SIN, nine digits
with a Luhn check; US SSN; UK National Insurance number. The other provinces' plain digits are recognised
only after a word that says what they are.
"""

from __future__ import annotations

import re

HEALTH_NUMBER = "[health number]"
RECORD_NUMBER = "[record number]"
ID_NUMBER = "[id number]"
DATE_OF_BIRTH = "[date of birth]"

_IS = r"(?:\s{0,3}(?:number|num|no|nr|id|card|code|is|was|are|[:#.=,-])){0,5}\s{0,3}"
# A year or a span of years is none.
_YEARS = r"(?!(?:19|20)\d\d(?:[ -](?:19|20)?\d\d)?(?![ -]?\d))"
_DIGITS = _YEARS + r"(?:[a-z]{1,4}[ -]?)?\d(?:[ -]?\d){4,13}(?:[ -]?[a-z]{1,2})?(?![\w-])"


def _after(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)((?:{words})(?![a-z]){_IS}){_DIGITS}", re.IGNORECASE)


_HEALTH_WORDS = _after(
    r"health (?:card|insurance|care|no|number|id)|healthcard|hcn|ohip|phn|ramq|msp|ahcip|mcp|uli|phin|"
    r"care ?card|personal health|nhs (?:no|number|id|card)|nhs ?#|"
    r"chi (?:no|number)|medicare|medicaid|h&c|carte soleil|assurance[ -]maladie"
)
_RECORD_WORDS = _after(
    r"mrn|mrns|urn|medical record|record no|record number|chart|hospital (?:no|number|id)|patient|pt|"
    r"file|case (?:no|number)|account|encounter|accession|visit (?:no|number|id)|"
    r"requisition|claim|policy|dossier|k number|unit (?:no|number)"
)
_ID_WORDS = _after(
    r"s\.?i\.?n\.?|s\.?s\.?n\.?|social (?:insurance|security)|passport|driver'?s licen[cs]e|licen[cs]e"
)

_CARD = re.compile(r"(?<![\w.-])\d{4}(?:([ -])\d{3}\1\d{3}(?:[ -]?[A-Z]{2})?|\d{6}[ -]?[A-Z]{2})(?![\w-])")
_QUEBEC = re.compile(r"(?<!\w)[A-Za-z]{4}[ -]?\d\d(\d\d)[ -]?(\d\d)[ -]?\d\d(?!\w)")
_NHS = re.compile(r"(?<![\w.,$£€-])\d{3} ?\d{3} ?\d{4}(?![\w-]|[.,]\d)")
_SIN = re.compile(r"(?<![\w.,$£€-])\d{3}([ -])\d{3}\1\d{3}(?![\w-]|[.,]\d)")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")
_NINO = re.compile(r"(?<!\w)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)")

_MONTH = (
    r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec|f(?:é|e)v|avr|mai|juin|juil|ao(?:û|u)t|d(?:é|e)c)"
    r"[a-zéû]{0,6}\.?"
)
_DATE = (
    r"(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}|\d{1,2} \d{1,2} \d{4}|\d{8}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er)? (?:of )?{_MONTH}(?:,? ?\d{{2,4}})?"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:,? ?(?:18|19|20)\d\d)?)"
)
_BORN = re.compile(
    rf"(?<!\w)((?:d\.?o\.?b\.?|date of birth|birth ?da(?:te|y)|b-?day|born"
    rf"|d\.?d\.?n\.?|date de naissance|n(?:é|e)e?|naissance|anniversaire)(?![a-zé])"
    rf"(?: ?(?:is|was|on|the|est|le|:|=|-|,)){{0,3}} ?)\(?{_DATE}(?!\w)",
    re.IGNORECASE,
)
_BIRTH_WORDS = ("born", "birth", "dob", "d.o", "day", "naissance", "né", "nee ", "ne le", "ddn", "d.d.n", "anniv")
_EIGHT_DIGITS = re.compile(r"\d(?:[ -]?\d){7}")
_FIVE_DIGITS = re.compile(r"\d(?:[ -]?\d){4}")
_NHS_WEIGHTS = range(10, 1, -1)
_WOMANS_MONTH = 50


def redact_identifiers(text: str) -> str:
    """Return ``text`` without the numbers that identify a patient, and without dates of birth."""
    lowered = text.lower()
    if any(word in lowered for word in _BIRTH_WORDS):
        text = _BORN.sub(rf"\1{DATE_OF_BIRTH}", text)
    if not _FIVE_DIGITS.search(text):
        return text
    for expression, mark in (
        (_HEALTH_WORDS, HEALTH_NUMBER),
        (_RECORD_WORDS, RECORD_NUMBER),
        (_ID_WORDS, ID_NUMBER),
    ):
        text = expression.sub(rf"\1{mark}", text)
    text = _NINO.sub(ID_NUMBER, text)
    if not _EIGHT_DIGITS.search(text):
        return text
    text = _CARD.sub(HEALTH_NUMBER, text)
    text = _QUEBEC.sub(_quebec, text)
    text = _NHS.sub(_nhs, text)
    text = _SIN.sub(_sin, text)
    return _SSN.sub(ID_NUMBER, text)


def is_nhs_number(digits: str) -> bool:
    """Return whether ten digits are an NHS number: weights 10 to 2, and the complement modulo 11 last."""
    check = 11 - sum(weight * int(digit) for weight, digit in zip(_NHS_WEIGHTS, digits, strict=False)) % 11
    return check % 11 == int(digits[9]) and len(set(digits)) > 1


def is_luhn(digits: str) -> bool:
    """Return whether the last digit is the Luhn check (ISO/IEC 7812) of those before it."""
    doubled = [int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0  # noqa: PLR2004 - cross sum


def _quebec(match: re.Match[str]) -> str:
    month, day = int(match[1]), int(match[2])
    month -= _WOMANS_MONTH if month > _WOMANS_MONTH else 0
    return HEALTH_NUMBER if 1 <= month <= 12 and 1 <= day <= 31 else match[0]  # noqa: PLR2004 - the calendar's


def _nhs(match: re.Match[str]) -> str:
    return HEALTH_NUMBER if is_nhs_number(match[0].replace(" ", "")) else match[0]


def _sin(match: re.Match[str]) -> str:
    return ID_NUMBER if is_luhn(re.sub(r"\D", "", match[0])) else match[0]
