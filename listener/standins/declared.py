"""A stand-in for a platform that has no server of its own: a folder of samples says how its JSON API looks.

The folder holds ``item.json``, one sample item with everything the platform sends of it, and
``platform.toml``, which says where things stand::

    [auth]                                  # what a request must carry
    header = "Authorization"
    value = "Bearer {token}"
    secrets = { token = "…" }               # by the connector's own names

    [list]                                  # newest first, matching a query, page by page
    path = "/api/notes"
    query = "q"                             # names of query parameters
    since = "after"                         # optional: only items published at or after, as items write it
    until = "before"                        # optional: only items published before
    cursor = "page"
    items = "data.notes"                    # where in the answer
    next = "paging.next"
    page_size = 20

    [lookup]                                # by id; those that are gone are left out
    path = "/api/notes/by-id"
    ids = "ids"                             # comma-separated
    items = "data.notes"
    at_most = 50

    [item]                                  # where in an item; leave out what the platform does not have
    external_id = "id"
    kind = "type"
    published_at = "created"                # ISO 8601 or seconds since 1970, as in item.json
    text = "body"                           # also: title, edited_at, author_id, author_handle, community,
    likes = "counts.likes"                  # parent_id, conversation_id, language, replies, shares, views

    [kinds]                                 # Listener's word = the platform's; heads of threads first
    post = "note"
    reply = "answer"

    [example]
    external_id = "n{seconds}"              # an id of the platform's form; seconds since 1970
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import tomli

from listener.mention import Kind, Metrics
from listener.standins.posts import Post
from listener.standins.server import Request, Response, Standin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_METRICS = ("likes", "replies", "shares", "views")
_TEXTS = ("title", "author_id", "author_handle", "community", "parent_id", "conversation_id", "language")
_LOOSE = timedelta(hours=3)
_EVERY = 3


def declared(folder: Path) -> type[DeclaredStandin]:
    """Return the stand-in that ``folder`` describes; its name is the channel.

    Raises ``OSError`` where one of its two files is missing, and ``tomli.TOMLDecodeError`` or
    ``json.JSONDecodeError`` where one is malformed.
    """
    plan = tomli.loads((folder / "platform.toml").read_text(encoding="utf-8"))
    members = {
        "channel": folder.name,
        "secrets": dict(plan["auth"]["secrets"]),
        "plan": plan,
        "template": json.loads((folder / "item.json").read_text(encoding="utf-8")),
    }
    return type(f"{folder.name.title()}Standin", (DeclaredStandin,), members)


class DeclaredStandin(Standin):
    """A small JSON API as a folder describes it: one list and one look-up. Made by :func:`declared`."""

    plan: ClassVar[Mapping[str, Any]]
    template: ClassVar[Any]

    page_size_cap: int | None = None
    """Never more items to a page than this."""
    out_of_order: bool = False
    """Within some hours, items come in no order."""
    duplicates: bool = False
    """Each page begins with the last item of the page before."""

    @classmethod
    def example_posts(cls, count: int, start: datetime, step: timedelta = timedelta(minutes=30)) -> list[Post]:
        """Return ``count`` posts: two heads, then a reply to the second where the platform has replies."""
        head, *replies = [Kind(kind) for kind in cls.plan["kinds"]]
        posts: list[Post] = []
        for number in range(count):
            published = (start + number * step).astimezone(UTC).replace(microsecond=0)
            identity = cls.plan["example"]["external_id"].format(seconds=int(published.timestamp()))
            parent = posts[-1] if replies and number % _EVERY == _EVERY - 1 else None
            posts.append(
                Post(
                    channel=cls.channel,
                    external_id=identity,
                    kind=replies[number // _EVERY % len(replies)] if parent else head,
                    published_at=published,
                    title=f"A night at St. Elsewhere, {number}" if "title" in cls.plan["item"] else None,
                    text=f"Waited {number + 2} hours at St. Elsewhere, the nurses were kind & patient.",
                    author_id=f"a{number % 7}",
                    author_handle=f"visitor{number % 7}",
                    parent_id=parent.external_id if parent else None,
                    conversation_id=parent.external_id if parent else identity,
                    metrics=Metrics(likes=number, replies=number % 3, shares=number % 2, views=10 * number),
                )
            )
        return posts

    def respond(self, request: Request) -> Response:
        """Serve the list or the look-up; 401 without the credential, 404 for any other path."""
        auth = self.plan["auth"]
        if request.headers.get(auth["header"].lower()) != auth["value"].format(**self.secrets):
            return Response(401, {"error": "the credential is not valid"})
        if request.path == self.plan["list"]["path"]:
            return self._list(request)
        if request.path == self.plan["lookup"]["path"]:
            return self._lookup(request)
        return Response(404, {"error": "there is nothing here"})

    def _list(self, request: Request) -> Response:
        plan = self.plan["list"]
        found = self._search(request)
        size = min(plan["page_size"], self.page_size_cap or plan["page_size"])
        start = 0
        if after := request.query.get(plan["cursor"]):
            keys = [self._order(post) for post in found]
            last = self.timeline.get(after)
            if last is None:
                return Response(400, {"error": "no such page"})
            start = sum(key <= self._order(last) for key in keys)
        first = max(start - 1, 0) if self.duplicates else start
        page = found[first : start + size]
        answer: dict[str, Any] = {}
        _put(answer, plan["items"], [self.item(post) for post in page])
        if start + size < len(found):
            _put(answer, plan["next"], page[-1].external_id)
        return Response(200, answer)

    def _search(self, request: Request) -> list[Post]:
        plan = self.plan["list"]
        query = request.query.get(plan["query"], "")
        terms = [term.strip().strip("\"'()").casefold() for term in query.split(" OR ")]
        since = self._read_time(request.query.get(plan.get("since", "")))
        until = self._read_time(request.query.get(plan.get("until", "")))
        return sorted(
            (
                post
                for post in self.timeline.visible()
                if post.removed_at is None
                and (since is None or post.published_at >= since)
                and (until is None or post.published_at < until)
                and any(term in f"{post.title or ''}\n{post.text}".casefold() for term in terms)
            ),
            key=self._order,
        )

    def _order(self, post: Post) -> tuple[float, str]:
        moment = post.published_at.timestamp()
        if self.out_of_order:
            # By the bucket, not by a shuffle: an order that stays when new posts come does not lose any.
            return (-(moment // _LOOSE.total_seconds()), post.external_id)
        return (-moment, post.external_id)

    def _lookup(self, request: Request) -> Response:
        plan = self.plan["lookup"]
        identities = [identity for identity in request.query.get(plan["ids"], "").split(",") if identity]
        if len(identities) > plan["at_most"]:
            return Response(400, {"error": f"at most {plan['at_most']} ids"})
        found = [post for post in map(self.timeline.get, identities) if post and post.removed_at is None]
        answer: dict[str, Any] = {}
        _put(answer, plan["items"], [self.item(post) for post in found])
        return Response(200, answer)

    def item(self, post: Post) -> Any:
        """Return ``post`` as the platform sends it: the sample item with this post's own values."""
        item = copy.deepcopy(self.template)
        where = self.plan["item"]
        values: dict[str, Any] = {name: getattr(post, name) for name in _TEXTS}
        values |= {name: getattr(post.metrics, name) for name in _METRICS}
        values |= {
            "external_id": post.external_id,
            "text": post.text,
            "kind": self.plan["kinds"].get(post.kind),
            "published_at": self._write_time(post.published_at),
            "edited_at": self._write_time(post.edits[-1].at) if post.edits else None,
        }
        for name, path in where.items():
            _put(item, path, values[name])
        return item

    def _write_time(self, moment: datetime) -> str | int:
        sample = _get(self.template, self.plan["item"]["published_at"])
        if isinstance(sample, int | float):
            return int(moment.timestamp())
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

    @staticmethod
    def _read_time(text: str | None) -> datetime | None:
        if not text:
            return None
        return datetime.fromtimestamp(float(text), UTC) if text.isdigit() else datetime.fromisoformat(text)


def _get(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document[name]
    return document


def _put(document: Any, path: str, value: Any) -> None:
    """Set the dotted ``path``; None takes the field away, as platforms leave out what they do not know."""
    *parents, last = path.split(".")
    for name in parents:
        document = document.setdefault(name, {})
    if value is None:
        document.pop(last, None)
    else:
        document[last] = value
