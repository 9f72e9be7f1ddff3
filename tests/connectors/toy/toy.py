"""Notes and answers of an invented platform: the smallest connector that owes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.base import (
    ConnectorSettings,
    Cursor,
    Limits,
    Meter,
    Page,
    StreamOptions,
    StreamSpec,
    Window,
    batches,
    clean_text,
    no_answer,
    read_count,
    read_each,
    require_query,
    utc_day,
)
from listener.errors import AuthError, RetryLater, SkipItem
from listener.mention import Author, Kind, Mention, Metrics

if TYPE_CHECKING:
    import requests
    from pydantic import SecretStr

    from listener.clock import Clock

HOST = "https://api.toy.example"
OVERLAP = timedelta(hours=1)
"""New notes can show up in the list that much later than they were written."""
IDS_AT_ONCE = 50
KINDS = {"note": Kind.POST, "answer": Kind.REPLY}


class ToyOptions(StreamOptions):
    """What a stream of notes may say beyond its query."""

    room: str = ""


class ToyConnector:
    """Searches notes, newest first."""

    channel: ClassVar[str] = "toy"
    secrets: ClassVar[tuple[str, ...]] = ("token",)
    kinds: ClassVar[tuple[str, ...]] = ("search",)
    lookback: ClassVar[timedelta | None] = None
    recheck_every: ClassVar[timedelta | None] = None
    settings_model: ClassVar[type[ConnectorSettings]] = ConnectorSettings
    options_model: ClassVar[type[StreamOptions]] = ToyOptions

    def __init__(
        self, settings: ConnectorSettings, secrets: Mapping[str, SecretStr], *, clock: Clock, user_agent: str
    ) -> None:
        self._settings = settings
        self._token = secrets["token"]
        self._clock = clock
        self._user_agent = user_agent
        self._opened: requests.Session | None = None

    @classmethod
    def budget(cls, settings: ConnectorSettings, now: datetime) -> tuple[Limits, datetime, datetime]:
        """Return the requests of a day, which begins at midnight UTC."""
        return Limits(requests=settings.daily_requests), *utc_day(now)

    @classmethod
    def check_stream(cls, stream: StreamSpec) -> None:
        """Refuse a search without a query."""
        require_query(stream)

    def pull(self, stream: StreamSpec, cursor: Cursor, window: Window, meter: Meter) -> Iterator[Page]:
        """Yield what is new: one pass from now (or ``window.until``) back to where the last pass began.

        The cursor holds ``read_until``, the moment the last whole pass reads up to, and the ``pass`` in hand.
        """
        asked = [_written(window.since), _written(window.until)]
        going = cursor.get("pass") or {}
        if going.get("asked") != asked:
            going = self._new_pass(cursor, window) | {"asked": asked}
        seen: set[str] = set()
        while True:
            params = {"q": stream.query, "after": going["since"], "before": going["until"], "page": going["page"]}
            answer = self._get("/api/notes", params, meter)
            mentions, skipped = _read(answer)
            token = _next_page(answer)
            if token is None:
                yield Page(
                    mentions=mentions,
                    skipped=skipped,
                    cursor={"read_until": max(going["until"], cursor.get("read_until") or "")},
                    covered=_covered(going, mentions),
                )
                return
            if token in seen:
                raise RetryLater("toy gives the same page again and again: the rest is read next time")
            seen.add(token)
            going = {**going, "page": token}
            yield Page(mentions=mentions, skipped=skipped, cursor={**cursor, "pass": going})

    def _new_pass(self, cursor: Cursor, window: Window) -> dict[str, Any]:
        since = window.since
        if since is None and cursor.get("read_until"):
            since = datetime.fromisoformat(cursor["read_until"]) - OVERLAP
        return {"since": _written(since), "until": _written(window.until or self._clock.now()), "page": None}

    def recheck(self, external_ids: Iterable[str], meter: Meter) -> Iterator[Page]:
        """Yield the notes as they are now; a note that the look-up leaves out is gone."""
        for identities in batches(external_ids, IDS_AT_ONCE):
            answer = self._get("/api/notes/by-id", {"ids": ",".join(identities)}, meter)
            mentions, skipped = _read(answer)
            known = {mention.external_id for mention in mentions} | {item.external_id for item in skipped}
            now = self._clock.now()
            gone = tuple(
                Mention(
                    channel=self.channel,
                    external_id=identity,
                    kind=Kind.POST,
                    published_at=now,
                    text="",
                    removed_at=now,
                )
                for identity in identities
                if identity not in known
            )
            yield Page(mentions=mentions + gone, skipped=skipped, cursor={})

    def check(self, meter: Meter) -> None:
        """Look nothing up, which costs the least and needs the credential all the same."""
        self._get("/api/notes/by-id", {"ids": ""}, meter)

    def close(self) -> None:
        """Let go of the session."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _get(self, path: str, params: Mapping[str, str | None], meter: Meter) -> dict[str, Any]:
        import requests

        meter.request()
        try:
            response = self._session().get(
                (self._settings.base_url or HOST) + path, params=params, timeout=self._settings.timeout_seconds
            )
            self._refuse(response)
            answer = response.json()
        except (requests.RequestException, ValueError, RecursionError) as error:
            configured = self._settings.base_url
            raise RetryLater(
                no_answer("toy", self.channel, configured or HOST, error, configured=configured is not None)
            ) from error
        if not isinstance(answer, dict):
            raise RetryLater("toy sent something that is not an object: trying again later")
        return answer

    def _session(self) -> requests.Session:
        import requests

        if self._opened is None:
            self._opened = requests.Session()
            self._opened.trust_env = False
            self._opened.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
            self._opened.headers["User-Agent"] = self._user_agent
        return self._opened

    def _refuse(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (401, 403):
            raise AuthError(f"toy refused the token ({status}): make a new one and set LISTENER_TOY_TOKEN")
        if status != 200:
            wait = response.headers.get("Retry-After", "")
            at = self._clock.now() + timedelta(seconds=int(wait)) if wait.isdigit() else None
            raise RetryLater(f"toy answered with status {status}: trying again later", at=at)


def normalise(payload: Any) -> Mention:
    """Return one note as a mention; raises ``SkipItem`` where it is not what the platform promises."""
    identity = payload.get("id") if isinstance(payload, dict) else None
    try:
        author = payload.get("author")
        return Mention(
            channel=ToyConnector.channel,
            external_id=_text(identity),
            kind=KINDS[payload["type"]],
            published_at=datetime.fromisoformat(payload["created"]),
            edited_at=datetime.fromisoformat(payload["edited"]) if payload.get("edited") else None,
            text=clean_text(payload["body"]),
            author=Author(id=_text(author["id"]), handle=author.get("name")) if author else None,
            permalink=f"https://toy.example/{identity}",
            parent_external_id=payload.get("in_answer_to"),
            conversation_id=payload.get("thread"),
            language=payload["lang"].lower() if payload.get("lang") else None,
            metrics=_metrics(payload.get("counts")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        shown = identity if isinstance(identity, str) else None
        raise SkipItem(
            f"toy note {shown or 'without an id'} cannot be read: {error!r}", external_id=shown
        ) from error


def _metrics(counts: Any) -> Metrics:
    known = counts if isinstance(counts, dict) else {}
    likes, replies, views = (read_count(known.get(name)) for name in ("likes", "answers", "views"))
    return Metrics(likes=likes, replies=replies, views=views)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is no text")
    return value


def _read(answer: Mapping[str, Any]) -> tuple[tuple[Mention, ...], tuple[SkipItem, ...]]:
    data = answer.get("data")
    notes = data.get("notes") if isinstance(data, dict) else None
    if not isinstance(notes, list):
        raise RetryLater("toy sent a page without notes: trying again later")
    return read_each(normalise, notes)


def _next_page(answer: Mapping[str, Any]) -> str | None:
    paging = answer.get("paging") or {}
    token = paging.get("next") if isinstance(paging, dict) else paging
    if token is not None and not isinstance(token, str):
        raise RetryLater("toy sent a page token that is no text: trying again later")
    return token


def _covered(going: Mapping[str, Any], mentions: tuple[Mention, ...]) -> tuple[datetime, datetime] | None:
    until = datetime.fromisoformat(going["until"])
    starts = [mention.published_at for mention in mentions]
    since = datetime.fromisoformat(going["since"]) if going["since"] else min(starts, default=until)
    return (since, until) if since < until else None


def _written(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
