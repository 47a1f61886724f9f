"""What every message of the stream carries: one record, as the journal wrote it, without its newline.

`record.schema.json` beside this file says the same to other languages; it is made from `Envelope` and a test compares
them. The schema is checked by who listens, and is not attached to the topic. Pub/Sub knows Avro and protocol buffers:
Avro's JSON must hold every field, while a record leaves out what is empty; protocol buffers may not import the type of
a free object, which `data` is. And what a topic refuses is lost to its listeners: a field that a later version adds
would be such a thing until every topic had a new revision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from runner.errors import StoreRejected

SCHEMA_FILE = Path(__file__).with_name("record.schema.json")

_Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f-]{36}:[a-z]+:[0-9]{12}$")]
_Time = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$")]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Checksum = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}$")]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a record that are the same for every kind. Further fields are allowed: later versions add some."""

    id: _Id
    seq: _Count
    ts: _Time
    at: str = ""
    kind: _Text
    severity: _Text
    bot: _Text
    bot_type: str = ""
    bot_version: str = ""
    config_hash: str = ""
    environment: str = ""
    session_id: str = ""
    run: _Text
    trace: str = ""
    actor: str = ""
    data: dict[str, Any]
    crc: _Checksum


_decoder = msgspec.json.Decoder(Envelope)


def read_envelope(body: bytes) -> Envelope:
    """The record in a message. Raises `StoreRejected` when it is none."""
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise StoreRejected(f"a message is not a record: {error}", "who else publishes to this topic?") from None


def schema() -> str:
    """The JSON Schema of a message, as `record.schema.json` holds it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Envelope)), indent=2).decode() + "\n"
