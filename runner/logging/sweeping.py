"""Deleting from the journal what is archived. Nothing else is ever deleted.

A closed run goes as a whole. Of a live run, whole segments go, but never the newest two, nor the one that holds the
start of the block that a later recovery must hash on from (`BlockStart`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import msgspec

from runner.layout import Home
from runner.logging import checkpoint, lines
from runner.logging.heads import BLOCK, Head
from runner.logging.journal import run_folder, segment_path
from runner.logging.reader import Cursor, StreamReader, segments
from runner.logging.recovery import BlockStart

NAME = "swept"
_KEPT = 2


class SweptState(msgspec.Struct, kw_only=True):
    """Where each stream of a live run can be hashed from, now that its older segments are gone."""

    streams: dict[str, BlockStart] = msgspec.field(default_factory=dict)


def block_starts(home: Home, run: str) -> Mapping[str, BlockStart]:
    return checkpoint.load(home, run, NAME, SweptState).streams


def delete_run(home: Home, run: str) -> None:
    """Delete a closed run whose every record is archived. Readers see it whole or not at all."""
    trash = home.journal / f".trash-{run}"
    run_folder(home, run).rename(trash)
    shutil.rmtree(trash)
    checkpoint.forget(home, run)


def empty_trash(home: Home) -> None:
    """Finish deletions that a crash interrupted."""
    for trash in home.journal.glob(".trash-*"):
        shutil.rmtree(trash)
        checkpoint.forget(home, trash.name.removeprefix(".trash-"))


def delete_segments(home: Home, run: str, archived: Mapping[str, Cursor]) -> int:
    """Delete segments of a live run that lie before its archived cursors; returns how many."""
    state = checkpoint.load(home, run, NAME, SweptState)
    doomed: dict[str, list[int]] = {}
    for stream, cursor in archived.items():
        known = segments(run_folder(home, run), stream)[:-_KEPT]
        if not known or known[0] >= cursor.segment:
            continue
        start = _advance(home, run, stream, state.streams.get(stream, BlockStart()), cursor)
        older = [first for first in known if first < start.cursor.segment]
        if older:
            state.streams[stream], doomed[stream] = start, older
    if doomed:
        checkpoint.save(home, run, NAME, state)
    for stream, firsts in doomed.items():
        for first in firsts:
            segment_path(run_folder(home, run), stream, first).unlink(missing_ok=True)
    return sum(map(len, doomed.values()))


def _advance(home: Home, run: str, stream: str, start: BlockStart, archived: Cursor) -> BlockStart:
    """The last block start in a segment that is archived whole, found by hashing on from the one before.

    Damaged lines are passed by, as recovery does.
    """
    reader = StreamReader(run_folder(home, run), stream, start.cursor)
    head = Head(run, stream, bytes.fromhex(start.chain) if start.chain else None)
    following = start.cursor.next
    try:
        while (chunk := reader.read()) and reader.segment < archived.segment:
            position = reader.position - len(chunk)
            for line in lines.split(chunk):
                if lines.is_intact(line):
                    if following % BLOCK == 0 and following > start.cursor.next:
                        head.end_block()
                        place = Cursor(next=following, segment=reader.segment, position=position)
                        start = BlockStart(chain=head.chain.hex(), cursor=place)
                    head.feed(line)
                    following += 1
                position += len(line)
    finally:
        reader.close()
    return start
