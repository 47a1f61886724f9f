"""Parquet parts: records as columns, one part an archive object.

    <root>/<stream>/<YYYY-MM-DD>/<bot>/<stream>_<HHMMSS>_<run8>-<first offset>_v<N>.parquet

A part's name is its archive object's name rearranged, so the folder tells which objects are loaded. A part appears
whole or not at all. Its columns are the envelope; the payload stays in `data`, as the JSON text that was written, so
that a later version can read more columns out of an old part.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from runner.errors import StoreRejected
from runner.files import publish, write
from runner.layout import is_batch_object
from runner.stores.base import Part
from runner.stores.columns import ENVELOPE, ColumnType
from runner.stores.folders import failures_as_unavailable, locked, make_folders

_ARROW = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    ColumnType.JSON: pa.string(),
}
SCHEMA = pa.schema([(column.name, _ARROW[column.type]) for column in ENVELOPE])
_SUFFIX = ".json.gz"
_PARTS = "*/*/*.parquet"


class _Line(msgspec.Struct, frozen=True):
    """A record, its payload left as it is."""

    id: str
    seq: int
    ts: datetime
    kind: str
    at: datetime | None = None
    severity: str | None = None
    bot: str | None = None
    bot_type: str | None = None
    bot_version: str | None = None
    config_hash: str | None = None
    environment: str | None = None
    session_id: str | None = None
    run: str | None = None
    trace: str | None = None
    actor: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_decoder = msgspec.json.Decoder(_Line)
_FROM_LINE = [column.name for column in ENVELOPE if column.name not in ("run", "stream", "offset", "data")]


def table(stream: str, lines: bytes, name: str) -> pa.Table:
    """NDJSON lines of one stream as a table of `SCHEMA`. Raises `StoreRejected` naming the first that is no record."""
    try:
        records = _decoder.decode_lines(lines)
        places = [_place(record, stream) for record in records]
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise _first_malformed(stream, lines, name) from None
    columns = {field: [getattr(record, field) for record in records] for field in _FROM_LINE}
    columns["run"] = [run for run, _ in places]
    columns["stream"] = [stream] * len(records)
    columns["offset"] = [offset for _, offset in places]
    columns["data"] = [bytes(record.data) for record in records]
    arrays = [_array(columns[field.name], field) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _place(record: _Line, stream: str) -> tuple[str, int]:
    """Run and offset of a record, from its id."""
    run, own_stream, offset = record.id.rsplit(":", 2)
    if own_stream != stream or not run:
        raise ValueError(f"the id {record.id!r} is not one of stream {stream}")
    if record.ts.tzinfo is None or (record.at is not None and record.at.tzinfo is None):
        raise ValueError("a time has no time zone")
    return run, int(offset)


def _array(values: list[object], field: pa.Field) -> pa.Array:
    if field.name == "data":
        return pa.array(values, pa.binary()).cast(pa.string())
    return pa.array(values, field.type)


def _first_malformed(stream: str, lines: bytes, name: str) -> StoreRejected:
    for number, line in enumerate(lines.split(b"\n"), start=1):
        try:
            for record in _decoder.decode_lines(line):
                _place(record, stream)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            return StoreRejected(
                f"{name} line {number} is not a record: {error}", "`tron verify` tells whether it was edited"
            )
    return StoreRejected(f"{name} holds lines that are not records", "`tron verify` tells whether it was edited")


def write_table(target: Path | pa.BufferOutputStream, content: pa.Table) -> None:
    pq.write_table(content, target, compression="zstd")


def without_loaded(content: pa.Table, parts: Sequence[Path]) -> pa.Table:
    """The rows of `content` that no part holds."""
    if content.num_rows == 0 or not parts:
        return content
    span = pc.min_max(content["ts"])
    around = (pc.field("ts") >= span["min"]) & (pc.field("ts") <= span["max"])
    loaded = ds.dataset([str(path) for path in parts], schema=SCHEMA, format="parquet")
    known = loaded.to_table(columns=["id"], filter=around)["id"]
    return content.filter(pc.invert(pc.is_in(content["id"], value_set=known)))


class Parts:
    """The parts below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self, stream: str) -> frozenset[str]:
        """The archive objects whose parts are there."""
        return frozenset(_object_name(self.root / stream, path) for path in self.paths(stream))

    def paths(self, stream: str) -> list[Path]:
        """The files of a stream, oldest day first."""
        with failures_as_unavailable(self.root):
            return sorted((self.root / stream).glob(_PARTS))

    def has(self, part: Part) -> bool:
        with failures_as_unavailable(self.root):
            return self._path(part).exists()

    def add(self, part: Part, content: pa.Table) -> None:
        """Write a part, durably. One that is there already is replaced by its equal."""
        path, partial = self._path(part), self.root / ".partial"
        sink = pa.BufferOutputStream()
        write_table(sink, content)
        with failures_as_unavailable(path):
            make_folders(partial)
            make_folders(path.parent)
            with locked(partial):
                write(partial / "part", memoryview(sink.getvalue()))
                publish(partial / "part", path)

    def _path(self, part: Part) -> Path:
        if not is_batch_object(part.name) or not part.name.rpartition("/")[2].startswith(f"{part.stream}_"):
            raise StoreRejected(f"{part.bucket}/{part.name} is not an archive object of stream {part.stream}")
        _, year, month, day, bot, file = part.name.split("/")
        return self.root / part.stream / f"{year}-{month}-{day}" / bot / f"{file.removesuffix(_SUFFIX)}.parquet"


def _object_name(folder: Path, path: Path) -> str:
    day, bot, file = path.relative_to(folder).parts
    return f"logs/{day.replace('-', '/')}/{bot}/{file.removesuffix('.parquet')}{_SUFFIX}"
