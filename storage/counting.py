"""What counts: which mentions the volumes of the topics are made of, and where the others stand.

"all" counts every mention. A topic and "(untagged)" count what is told or asked about care, and what has no
purpose: a language that is not read, a platform that forbids derived metrics, a store from before. The rest
stands in "(other purposes)" or "(to review)", so that

    all = mentions with a topic + (untagged) + (other purposes) + (to review)

"(care)" lies across: the experiences and questions among those that topics count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, case, null, or_

from listener.mention import Purpose
from storage.schema import ALL, CARE, OTHER_PURPOSES, TO_REVIEW, UNTAGGED, mentions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

PSEUDO_TOPICS = (ALL, CARE, UNTAGGED, OTHER_PURPOSES, TO_REVIEW)
"""What stands in the topics' place without being one."""

_OF_CARE = (Purpose.EXPERIENCE.value, Purpose.QUESTION.value)


def is_counted() -> ColumnElement[bool]:
    """Whether a topic counts the mention, or "(untagged)" where it has none."""
    return and_(
        mentions.c.needs_review.is_(False),
        or_(mentions.c.purpose.is_(None), mentions.c.purpose.in_(_OF_CARE)),
    )


def standing() -> ColumnElement[str]:
    """Return which of "(care)", "(other purposes)" and "(to review)" a mention is in; NULL without a purpose."""
    return case(
        (mentions.c.needs_review, TO_REVIEW),
        (mentions.c.purpose.in_(_OF_CARE), CARE),
        (mentions.c.purpose.is_not(None), OTHER_PURPOSES),
        else_=null(),
    )


def stands_in(pseudo_topic: str) -> ColumnElement[bool]:
    """Whether the mention is in "(care)", "(other purposes)" or "(to review)"."""
    return standing() == pseudo_topic


def counts(purpose: str | None, *, needs_review: bool) -> bool:
    """Whether a topic counts such a mention, or "(untagged)" where it has none: :func:`is_counted`, in Python."""
    return not needs_review and (purpose is None or purpose in _OF_CARE)


def places(purpose: str | None, slugs: frozenset[str], *, needs_review: bool) -> frozenset[str]:
    """Return every topic and pseudo-topic that counts a mention with the topics ``slugs``: the rule, in Python."""
    if needs_review:
        return frozenset({ALL, TO_REVIEW})
    if purpose is not None and purpose not in _OF_CARE:
        return frozenset({ALL, OTHER_PURPOSES})
    care = frozenset({CARE} if purpose is not None else ())
    return frozenset({ALL}) | care | (slugs or frozenset({UNTAGGED}))
