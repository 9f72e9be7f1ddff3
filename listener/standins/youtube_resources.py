"""What YouTube's Data API sends: its resources, its lists and its errors, made from posts."""

from __future__ import annotations

import hashlib
import html
from typing import TYPE_CHECKING, Any

from listener.mention import Kind
from listener.standins.server import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from listener.standins.posts import Post

EMBEDDED_REPLIES = 5
"""A thread brings this many of its newest replies along; the rest is asked for."""
_SNIPPET_WORDS = 160


def stamp(moment: datetime) -> str:
    """Return a moment as the API writes it: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def search_result(post: Post) -> dict[str, Any]:
    """Return a found video: the title with HTML entities, the description cut short."""
    return {
        "kind": "youtube#searchResult",
        "etag": _etag(post),
        "id": {"kind": "youtube#video", "videoId": post.external_id},
        "snippet": _video_snippet(post, post.text[:_SNIPPET_WORDS]),
    }


def video(post: Post, parts: Iterable[str], comments: int | None) -> dict[str, Any]:
    """Return a video; ``comments`` is how many it has, None where they are turned off."""
    snippet = _video_snippet(post, post.text) | {"categoryId": "22", "tags": []}
    if post.language:
        snippet |= {"defaultLanguage": post.language, "defaultAudioLanguage": post.language}
    metrics = post.metrics
    counts = {"viewCount": metrics.views, "likeCount": metrics.likes, "favoriteCount": 0, "commentCount": comments}
    whole = {
        "snippet": snippet,
        "statistics": {name: str(count) for name, count in counts.items() if count is not None},
    }
    return {"kind": "youtube#video", "etag": _etag(post), "id": post.external_id} | _only(whole, parts)


def comment(post: Post, channel_id: str | None, *, as_html: bool, parts: Iterable[str]) -> dict[str, Any]:
    """Return a comment or a reply; ``channel_id`` is the channel its video lies on."""
    shown = html.escape(post.text).replace("\n", "<br>") if as_html else post.text
    snippet: dict[str, Any] = {
        "videoId": post.conversation_id,
        "textDisplay": shown,
        "textOriginal": post.text,
        "authorDisplayName": post.author_handle or "",
        "authorProfileImageUrl": "https://yt3.ggpht.com/default.jpg",
        "canRate": True,
        "viewerRating": "none",
        "publishedAt": stamp(post.published_at),
        "updatedAt": stamp(post.edits[-1].at if post.edits else post.published_at),
    }
    if channel_id:
        snippet["channelId"] = channel_id
    if post.author_id:
        snippet["authorChannelUrl"] = f"http://www.youtube.com/channel/{post.author_id}"
        snippet["authorChannelId"] = {"value": post.author_id}
    if post.metrics.likes is not None:
        snippet["likeCount"] = post.metrics.likes
    if post.kind is Kind.REPLY:
        snippet["parentId"] = post.parent_id
    whole = {"snippet": snippet}
    return {"kind": "youtube#comment", "etag": _etag(post), "id": post.external_id} | _only(whole, parts)


def thread(
    top: Post, replies: Sequence[Post], channel_id: str | None, *, as_html: bool, parts: Iterable[str]
) -> dict[str, Any]:
    """Return a thread; ``replies`` are all that its top comment has, newest first."""
    whole: dict[str, Any] = {
        "snippet": {
            "videoId": top.conversation_id,
            "topLevelComment": comment(top, channel_id, as_html=as_html, parts=("snippet",)),
            "canReply": True,
            "totalReplyCount": len(replies),
            "isPublic": True,
        }
    }
    if channel_id:
        whole["snippet"]["channelId"] = channel_id
    if replies:
        newest = replies[:EMBEDDED_REPLIES]
        whole["replies"] = {
            "comments": [comment(reply, channel_id, as_html=as_html, parts=("snippet",)) for reply in newest]
        }
    return {"kind": "youtube#commentThread", "etag": _etag(top), "id": top.external_id} | _only(whole, parts)


def listing(kind: str, items: list[dict[str, Any]], *, next_token: str | None, total: int) -> Response:
    """Return a list response of ``kind`` (``"video"`` gives ``youtube#videoListResponse``)."""
    body: dict[str, Any] = {
        "kind": f"youtube#{kind}ListResponse",
        "etag": hashlib.sha256("".join(item["etag"] for item in items).encode()).hexdigest()[:27],
        "pageInfo": {"totalResults": total, "resultsPerPage": len(items)},
        "items": items,
    }
    if next_token:
        body["nextPageToken"] = next_token
    return Response(200, body)


def refusal(
    code: int, reason: str, message: str, *, domain: str = "global", status: str | None = None, detail: str = ""
) -> Response:
    """Return an error in Google's shape; ``detail`` is the reason of a ``google.rpc.ErrorInfo``."""
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "errors": [{"message": message, "domain": domain, "reason": reason}],
    }
    if status:
        error["status"] = status
    if detail:
        error["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": detail,
                "domain": "googleapis.com",
                "metadata": {"service": "youtube.googleapis.com"},
            }
        ]
    return Response(code, {"error": error})


def _video_snippet(post: Post, description: str) -> dict[str, Any]:
    snippet = {
        "publishedAt": stamp(post.published_at),
        "title": html.escape(post.title or ""),
        "description": description,
        "channelTitle": post.author_handle or "",
        "liveBroadcastContent": "none",
        "thumbnails": {"default": {"url": f"https://i.ytimg.com/vi/{post.external_id}/default.jpg"}},
    }
    return snippet | ({"channelId": post.author_id} if post.author_id else {})


def _only(whole: dict[str, Any], parts: Iterable[str]) -> dict[str, Any]:
    return {part: whole[part] for part in parts if part in whole}


def _etag(post: Post) -> str:
    version = f"{post.external_id} {len(post.edits)} {post.metrics}"
    return hashlib.sha256(version.encode()).hexdigest()[:27]
