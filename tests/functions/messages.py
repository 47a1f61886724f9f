"""Messages as Pub/Sub pushes them: a record in base64, in any of the forms in which they reach a function."""

from __future__ import annotations

import base64
import json
from typing import Any

from runner.logging import lines

RUN = "018fb0a0-0000-7000-8000-0000deadbeef"
JSON = {"Content-Type": "application/json"}
EVENT = {
    "specversion": "1.0",
    "type": "google.cloud.pubsub.topic.v1.messagePublished",
    "source": "//pubsub.googleapis.com/projects/demo-tron/topics/tron-records",
    "id": "7",
    "time": "2024-06-03T14:30:00.000Z",
}


def record(offset: int, severity: str = "ERROR", run: str = RUN, **changed: Any) -> bytes:
    """One line of a journal without its newline."""
    content = {
        "id": f"{run}:errors:{offset:012d}",
        "seq": offset,
        "ts": f"2024-06-03T14:30:{offset % 60:02}.000001Z",
        "kind": "warning",
        "severity": severity,
        "bot": "breakout",
        "run": run,
        "data": {"message": f"no bars for {offset} minutes", "source": "feed", "context": {}},
    } | changed
    return lines.seal(json.dumps(content, separators=(",", ":")).encode()[:-1])[:-1]


def pushed(body: bytes, **more: Any) -> dict[str, Any]:
    """The body of a push request."""
    message = {"data": base64.b64encode(body).decode(), "messageId": "7", "publishTime": "2024-06-03T14:30:01Z"}
    message |= {"attributes": {"bot": "breakout", "stream": "errors"}, "orderingKey": "breakout:errors"}
    return {"message": message, "subscription": "projects/demo-tron/subscriptions/alerts", **more}


def binary_event(body: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """A CloudEvent as Eventarc sends it: its attributes in headers."""
    return pushed(body), {**JSON, **{f"ce-{name}": value for name, value in EVENT.items()}}


def structured_event(body: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """A CloudEvent that is one JSON object."""
    content = {**EVENT, "datacontenttype": "application/json", "data": pushed(body)}
    return content, {"Content-Type": "application/cloudevents+json"}


def raw_push(body: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """What a push subscription sends by itself."""
    return pushed(body), JSON
