"""What points at a person leaves a text before anything is stored.

A mark stands where something was: ``[email]``, ``[handle]``, ``[phone]``, ``[health number]``,
``[record number]``, ``[id number]``, ``[date of birth]``, ``[address]``. A link keeps scheme, host and path;
its password, query and fragment go without a mark. What is recognised is told in :mod:`~.contacts`,
:mod:`~.identifiers`, :mod:`~.phones` and :mod:`~.addresses`. Names of people are not recognised.

Every expression runs in time that grows with the length of the text, whatever it holds: repetitions are
possessive or bounded, and begin only where a word does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from listener.signals.addresses import redact_addresses
from listener.signals.contacts import ContactRedactor
from listener.signals.identifiers import redact_identifiers
from listener.signals.phones import redact_phones

# One pass settles all but the contrived: a mark that takes a word's place can bare what stood against it
# ("a@b.org@name"). More passes than this are not worth a hostile text's while.
_PASSES = 10
_DIGIT = re.compile(r"\d")


class Redactor:
    """Takes personal data out of texts, but leaves the organizations' ``own_handles``.

    A handle is given with or without its ``@`` or ``u/``. Safe to share between threads.
    """

    def __init__(self, own_handles: Iterable[str] = ()) -> None:
        self._contacts = ContactRedactor(own_handles)

    def redact(self, text: str) -> str:
        """Return ``text`` with a mark in place of each thing that points at a person.

        Redacting twice changes nothing more. Never raises, whatever the text holds.
        """
        for _ in range(_PASSES):
            redacted = self._pass(text)
            if redacted == text:
                break
            text = redacted
        return text

    def _pass(self, text: str) -> str:
        text = self._contacts.redact(text)
        if not _DIGIT.search(text):
            return text
        return redact_addresses(redact_phones(redact_identifiers(text)))
