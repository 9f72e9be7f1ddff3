"""Postal addresses in a text, where they are plain: a number, a street and its kind, or a full postal code."""

from __future__ import annotations

import re

ADDRESS = "[address]"

_KINDS = (
    "Street|Str?|Avenue|Ave?|Road|Rd|Drive|Lane|Ln|Crescent|Cres|Cr|Boulevard|Blvd|Crt|Ct|Pl|Terrace|Terr|"
    "Square|Sq|Parkway|Pkwy|Highway|Hwy|Gardens|Gdns|Grove|Mews|Sideroad"
)
# These are other words too: "5 Stars Way better". They end an address only where the sentence does not run on.
_LOOSE_KINDS = "Way|Close|Court|Place|Circle|Line|Trail|Walk|Hill|Rise"
_UNIT = r"(?:apt|apartment|unit|suite|flat|ste|room)\.? ?#?(?:\d{1,5}[a-z]?|[a-z])(?!\w)"
_QUARTER = r"(?: (?:[NSEW]{1,2}|North|South|East|West)(?![\w]))?"
# "Dr" before a surname is a doctor, not a drive: "in 2019 Then Dr. Roe".
_STREET = re.compile(
    rf"(?<![\w$£€.,:/-])(?:(?i:{_UNIT}),? )?#?\d{{1,5}}[A-Za-z]?(?:[-/ ]\d{{1,5}})?,? (?:[NSEW]\.? )?"
    rf"(?:\d{{1,3}}(?:st|nd|rd|th) |(?:[A-Z][\w'\u2019.-]{{0,30}} ){{1,4}})"
    rf"(?:(?:{_KINDS}|{_KINDS.upper()})(?!\w)|(?:{_LOOSE_KINDS}|{_LOOSE_KINDS.upper()})(?! ?[a-z]|\w)"
    rf"|Dr(?!\.? ?[A-Z]|\w))\.?{_QUARTER}(?:,? (?i:{_UNIT}))?"
)
# French puts the kind first: "1234, rue Saint-Denis, app. 5", "12 bis avenue du Parc". Kinds that are other words
# too ("2 places de la Francophonie", "3 cours de yoga") make an address only before a name.
_FR_UNIT = r"(?:app(?:\.|t\.?|artement)?|bureau|unit(?:é|e)|suite|chambre|local) ?#?\d{1,5}[a-z]?(?!\w)"
_FR_LINK = r"(?:(?:de la|de l['\u2019]|du|des|de|d['\u2019]|la|le|les|l['\u2019]) ?)?"
_FR_KINDS = r"rue|avenue|av\.|boul\.|boulevard|bd|blvd|chemin|ch\.|impasse|all(?:é|e)e|ruelle|croissant"
_FR_LOOSE_KINDS = r"place|route|cours|c(?:ô|o)te|quai|rang|mont(?:é|e)e|terrasse|square"
_FR_NAME = r"[^\W\d_a-zà-ÿ][\w'\u2019-]{0,40}"
_FR_STREET = re.compile(
    rf"(?<![\w$£€.,:/-])(?:(?i:{_FR_UNIT}),? )?"
    r"\d{1,5}(?:[A-Za-z]| ?(?:bis|ter)(?!\w))?(?:[-/]\d{1,5})?,? "
    rf"(?:(?i:{_FR_KINDS}) (?i:{_FR_LINK})[\w'\u2019-]{{1,40}}"
    rf"|(?i:{_FR_LOOSE_KINDS}) (?i:{_FR_LINK}){_FR_NAME})"
    rf"(?: {_FR_NAME}){{0,3}}(?: (?:Est|Ouest|Nord|Sud|[NSEO]\.?)(?!\w))?(?:,? (?i:{_FR_UNIT}))?"
)
# What no address is without, and which is quicker to look for: a number before a name, or before a kind.
_BEFORE_NAME = re.compile(r"\d[A-Za-z]?,? (?:[A-Z]|\d{1,3}(?:st|nd|rd|th) )")
_BEFORE_KIND = re.compile(rf"\d(?:[A-Za-z]| ?(?:bis|ter))?,? (?:{_FR_KINDS}|{_FR_LOOSE_KINDS}) ", re.IGNORECASE)
# In lower case a street is told from "2 minutes down the road" only by what stands before it.
_LIVED_AT = re.compile(
    r"(?<!\w)((?:live[sd]?|living|stay(?:s|ed|ing)?|moved|home|house|address|reside[sd]?)"
    r"(?: (?:at|to|on|is|was)|:){1,2} ?)"
    rf"(?:{_UNIT},? )?\d{{1,5}}[a-z]?,? (?:[\w'\u2019.-]{{1,30}} ){{1,3}}?"
    rf"(?:{_KINDS}|{_LOOSE_KINDS}|Dr)(?!\w)\.?{_QUARTER}",
    re.IGNORECASE,
)
_DWELLING_WORDS = ("live", "living", "stay", "moved", "home", "house", "address", "reside")
_LETTER_AND_DIGIT = re.compile(r"[A-Za-z]\d")
_FIVE_DIGITS = re.compile(r"\d{5}")
_PO_BOX = re.compile(r"(?<!\w)P\.?\s?O\.?\s?Box\s?#?\d{1,6}(?!\w)", re.IGNORECASE)
_CANADIAN = re.compile(
    r"(?<![\w-])[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]?\d[ABCEGHJ-NPRSTV-Z]\d(?![\w-])", re.IGNORECASE
)
# The second half never has C, I, K, M, O or V (Royal Mail), so "B12 5MG" is a vitamin; nor are "A4 3RD" and
# "S1 5GB" postal codes.
_BRITISH = re.compile(
    r"(?<![\w-])(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKPS-UW]|[A-HK-Y]\d[ABEHMNPRV-Y])"
    r" ?(?!1ST|2ND|3RD|[4-9]TH|\dGB)\d[ABD-HJLNP-UW-Z]{2})(?![\w-])"
)
_SPOKEN_CODE = re.compile(
    r"(?<!\w)((?:zip|post(?:al)?)[ -]?(?:code)?(?: is|:)? ?)"
    r"(?:\d{5}(?:-\d{4})?|[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2})(?![\w-])",
    re.IGNORECASE,
)
_STATES = (
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|"
    "W[AIVY]"
)
_ZIP = re.compile(rf"(?<!\w)((?:{_STATES}),? )\d{{5}}(?:-\d{{4}})?(?![\w-]|[.,]\d)")


def redact_addresses(text: str) -> str:
    """Return ``text`` without postal addresses and full postal codes."""
    if _BEFORE_NAME.search(text):
        text = _STREET.sub(ADDRESS, text)
    if _LETTER_AND_DIGIT.search(text):
        text = _BRITISH.sub(ADDRESS, _CANADIAN.sub(ADDRESS, text))
    if _FIVE_DIGITS.search(text):
        text = _ZIP.sub(rf"\1{ADDRESS}", text)
    if _BEFORE_KIND.search(text):
        text = _FR_STREET.sub(ADDRESS, text)
    lowered = text.lower()
    if any(word in lowered for word in _DWELLING_WORDS):
        text = _LIVED_AT.sub(rf"\1{ADDRESS}", text)
    if "box" in lowered:
        text = _PO_BOX.sub(ADDRESS, text)
    if "zip" in lowered or "post" in lowered:
        text = _SPOKEN_CODE.sub(rf"\1{ADDRESS}", text)
    return text
