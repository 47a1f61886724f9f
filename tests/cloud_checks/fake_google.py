"""A stand-in for Google's administrative APIs that speaks real HTTP: one project in which everything is right.

A test changes what it is about (`fake.answers[...]`, `fake.edit(...)`) before it asks. What is written here is how the
APIs answer, not how the product asks: names, numbers as strings, fields that are left out when they are empty.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from runner.clock import SystemClock

PROJECT, NUMBER, PREFIX, DATABASE, DATASET = "acme-trading", "415104041262", "acme", "tron", "tron"
STORES = {
    "GOOGLE_CLOUD_PROJECT": PROJECT,
    "TRON_LIVE_STORE": f"firestore://{PROJECT}/{DATABASE}",
    "TRON_ARCHIVE": f"gs://{PREFIX}",
    "TRON_STREAM": f"pubsub://{PROJECT}",
    "TRON_WAREHOUSE": f"bigquery://{PROJECT}/{DATASET}",
}
DAYS = {"trade-logs": 365, "cognitive-archives": 181, "system-logs": 90, "analytics-data": 730, "compliance-logs": 2555}
MOVES = {
    "trade-logs": {"NEARLINE": 30, "COLDLINE": 90},
    "cognitive-archives": {"NEARLINE": 30, "COLDLINE": 90},
    "system-logs": {"NEARLINE": 30},
    "analytics-data": {"NEARLINE": 30, "COLDLINE": 90},
    "compliance-logs": {"NEARLINE": 30, "COLDLINE": 90, "ARCHIVE": 365},
}
COLLECTIONS = (
    "live_trades",
    "live_positions",
    "live_alerts",
    "live_cognitive",
    "live_system_status",
    "daily_summaries",
    "daily_reflections",
    "dashboard_metrics",
)
INDEXED = ("bot", "kind", "run", "severity", "status", "symbol", "ts")
BASE = f"projects/{PROJECT}/databases/{DATABASE}"


class FakeGoogle:
    """The project. `answers` are bodies by `api/path`; `refusals` are (status, message) by what a request begins with.

    A context manager. `url` is what TRON_GOOGLE_APIS is for it; `asked` is every request so far.
    """

    def __init__(self) -> None:
        self.answers = project()
        self.refusals: dict[str, tuple[int, dict[str, Any]]] = {}
        self.denied: set[str] = set()
        self.asked: list[str] = []
        self.ahead = timedelta()
        self.raw: bytes | None = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}/{{api}}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def edit(self, key: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change an answer."""
        body = copy.deepcopy(self.answers[key])
        change(body)
        self.answers[key] = body

    def refuse(self, start: str, status: int, message: str = "no", reason: str = "") -> None:
        """Answer every request that begins so with an error, as Google's APIs write one."""
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
        self.refusals[start] = (status, {"error": {"code": status, "message": message, "details": details}})

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(path)
        key = unquote(parts.path).lstrip("/")
        self.asked.append(f"{method} {key}")
        for start, refusal in self.refusals.items():
            if key.startswith(start):
                return refusal
        if key.endswith((":testIamPermissions", "/iam/testPermissions")):
            wanted = body.get("permissions") or parse_qs(parts.query)["permissions"]
            granted = [one for one in wanted if one not in self.denied and f"{key} {one}" not in self.denied]
            return 200, {"permissions": granted} if granted else {}
        if key not in self.answers:
            return 404, {"error": {"code": 404, "message": f"{key} was not found", "status": "NOT_FOUND"}}
        return 200, self._page(key, parse_qs(parts.query))

    def _page(self, key: str, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """Lists come in two pages."""
        found = self.answers[key]
        lists = [name for name, value in found.items() if isinstance(value, list) and len(value) > 1]
        if not lists or not key.endswith(("/fields", "/indexes", "/tables", "/subscriptions")):
            return found
        (name,) = lists
        middle = len(found[name]) // 2
        if query.get("pageToken"):
            return {name: found[name][middle:]}
        return {name: found[name][:middle], "nextPageToken": "more"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeGoogle


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: two make the client wait for the second
    server: _Server

    def do_GET(self) -> None:
        fake = self.server.fake
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = fake.answer(self.command, self.path, json.loads(sent) if sent else {})
        content = json.dumps(body).encode() if fake.raw is None else fake.raw
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def date_time_string(self, timestamp: float | None = None) -> str:
        now: datetime = SystemClock().now()
        return format_datetime(now + self.server.fake.ahead, usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are noted by the fake."""


def project() -> dict[str, dict[str, Any]]:
    """Every answer of a project in which everything is right."""
    return {
        f"cloudresourcemanager/v3/projects/{PROJECT}": {
            "name": f"projects/{NUMBER}",
            "projectId": PROJECT,
            "state": "ACTIVE",
        },
        f"serviceusage/v1/projects/{PROJECT}/services:batchGet": {
            "services": [
                {"name": f"projects/{NUMBER}/services/{api}.googleapis.com", "state": "ENABLED"}
                for api in ("firestore", "storage", "pubsub", "bigquery")
            ]
        },
        **{f"storage/storage/v1/b/{PREFIX}-tron-{name}": bucket(name) for name in DAYS},
        **_firestore(),
        **_pubsub(),
        **_bigquery(),
    }


def bucket(name: str) -> dict[str, Any]:
    rules = [
        {
            "action": {"type": "SetStorageClass", "storageClass": storage_class},
            "condition": {"age": days, "sizeAboveBytes": "1048576"},
        }
        for storage_class, days in MOVES[name].items()
    ]
    found: dict[str, Any] = {
        "kind": "storage#bucket",
        "name": f"{PREFIX}-tron-{name}",
        "projectNumber": NUMBER,
        "location": "US-CENTRAL1",
        "iamConfiguration": {"publicAccessPrevention": "enforced", "uniformBucketLevelAccess": {"enabled": True}},
        "lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": DAYS[name]}}, *rules]},
    }
    if name == "compliance-logs":
        found["retentionPolicy"] = {"retentionPeriod": str(2555 * 86_400), "effectiveTime": "2026-01-01T00:00:00Z"}
    return found


def _firestore() -> dict[str, dict[str, Any]]:
    fields = [one for name in COLLECTIONS for one in _fields(f"{BASE}/collectionGroups/{name}/fields")]
    indexes = [
        {
            "name": f"{BASE}/collectionGroups/{name}/indexes/CICAgJ{number}",
            "queryScope": "COLLECTION",
            "state": "READY",
            "fields": [
                {"fieldPath": "bot", "order": "ASCENDING"},
                {"fieldPath": "ts", "order": "DESCENDING"},
                {"fieldPath": "__name__", "order": "DESCENDING"},
            ],
        }
        for number, name in enumerate(("live_alerts", "live_cognitive", "live_trades"))
    ]
    return {
        f"firestore/v1/{BASE}": {"name": BASE, "type": "FIRESTORE_NATIVE", "locationId": "us-central1"},
        f"firestore/v1/{BASE}/collectionGroups/-/fields": {"fields": fields},
        f"firestore/v1/{BASE}/collectionGroups/-/indexes": {"indexes": indexes},
    }


def _fields(place: str) -> list[dict[str, Any]]:
    def index(field: str, order: str) -> dict[str, Any]:
        return {"queryScope": "COLLECTION", "state": "READY", "fields": [{"fieldPath": field, "order": order}]}

    both = ("ASCENDING", "DESCENDING")
    indexed = [
        {"name": f"{place}/{field}", "indexConfig": {"indexes": [index(field, order) for order in both]}}
        for field in INDEXED
    ]
    expiry = {
        "name": f"{place}/expire_at",
        "indexConfig": {"indexes": [index("expire_at", "ASCENDING")]},
        "ttlConfig": {"state": "ACTIVE"},
    }
    return [{"name": f"{place}/*", "indexConfig": {}}, expiry, *indexed]


def _pubsub() -> dict[str, dict[str, Any]]:
    place = f"pubsub/v1/projects/{PROJECT}"
    topic, dead = f"projects/{PROJECT}/topics/tron-records", f"projects/{PROJECT}/topics/tron-records-dead-letter"
    found: dict[str, dict[str, Any]] = {
        f"pubsub/v1/{topic}": {"name": topic},
        f"pubsub/v1/{dead}": {"name": dead},
        f"pubsub/v1/{topic}/subscriptions": {
            "subscriptions": [f"projects/{PROJECT}/subscriptions/{name}" for name in ("alerts", "events")]
        },
        f"pubsub/v1/{dead}/subscriptions": {
            "subscriptions": [f"projects/{PROJECT}/subscriptions/tron-records-dead-letter"]
        },
    }
    for name in ("alerts", "events"):
        found[f"{place}/subscriptions/{name}"] = {
            "name": f"projects/{PROJECT}/subscriptions/{name}",
            "topic": topic,
            "expirationPolicy": {},
            "deadLetterPolicy": {"deadLetterTopic": dead, "maxDeliveryAttempts": 5},
            "state": "ACTIVE",
        }
    return found


def _bigquery() -> dict[str, dict[str, Any]]:
    """The dataset with two of the tables; the others come when something is first loaded."""
    place = f"bigquery/bigquery/v2/projects/{PROJECT}/datasets/{DATASET}"
    names = ("loads", "ohlcv")
    return {
        place: {"location": "us-central1", "datasetReference": {"projectId": PROJECT, "datasetId": DATASET}},
        f"{place}/tables": {"tables": [{"tableReference": {"tableId": name}, "type": "TABLE"} for name in names]},
        f"{place}/tables/loads": {
            "schema": {
                "fields": [
                    {"name": "object", "type": "STRING", "mode": "NULLABLE"},
                    {"name": "stream", "type": "STRING", "mode": "NULLABLE"},
                    {"name": "bucket", "type": "STRING", "mode": "NULLABLE"},
                    {"name": "records", "type": "INTEGER", "mode": "NULLABLE"},
                    {"name": "load_id", "type": "STRING", "mode": "NULLABLE"},
                    {"name": "loaded_at", "type": "TIMESTAMP", "mode": "NULLABLE"},
                ]
            },
            "timePartitioning": {"type": "DAY", "field": "loaded_at"},
            "clustering": {"fields": ["stream"]},
        },
        f"{place}/tables/ohlcv": {
            "schema": {
                "fields": [
                    {"name": "time", "type": "TIMESTAMP", "mode": "NULLABLE"},
                    {"name": "symbol", "type": "STRING", "mode": "NULLABLE"},
                    {"name": "freq", "type": "STRING", "mode": "NULLABLE"},
                    *(
                        {"name": name, "type": "BIGNUMERIC", "precision": "38", "scale": "12"}
                        for name in ("open", "high", "low", "close", "volume")
                    ),
                ]
            },
            "timePartitioning": {"type": "DAY", "field": "time"},
            "clustering": {"fields": ["symbol", "freq"]},
        },
    }
