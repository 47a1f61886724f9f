"""A long outage: the followers' memory stays bounded, and everything arrives afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RECORDS = 200_000

PROGRAM = """
import json, sys, threading
from pathlib import Path
import psutil
from runner.clock import ManualClock
from runner.layout import Home
from runner.logging import lines, objects
from runner.logging.housekeeping import House
from runner.logging.log_types import Kind
from runner.settings import Settings
from runner.stores.directory import DirectoryArchive
from runner.stores.sqlite import SqliteLiveStore
from runner.testing import FaultyArchive, FaultyLiveStore, Outage
from tests.logging.journeys import START, Fleet, PlainWriter, RecordingStream, ship_all

folder, count = Path(sys.argv[1]), int(sys.argv[2])
home, clock, outage = Home(folder / "home").create(), ManualClock(START), Outage()
archive = DirectoryArchive(folder / "archive")
live = SqliteLiveStore(folder / "live.sqlite", clock=clock)
fleet = Fleet(home, clock, FaultyLiveStore(live, outage), FaultyArchive(archive, outage), RecordingStream(),
              archive_bytes=1 << 20, longest_wait=0.1)
followers = fleet.build()
threads = [threading.Thread(target=follower.step, kwargs={"drain": True}) for follower in followers[:3]]
writer = PlainWriter(home, clock)
writer.metrics(1000, width=200)
for thread in threads:
    thread.start()
process = psutil.Process()
before = process.memory_info().rss
written = 1000
path = writer.folder / "metrics" / f"{0:020d}.ndjson"
with path.open("ab") as file:
    body = writer.lines["metrics"][0].split(b'"ts"', 1)[1][: -lines.TRAILER]
    while written < count:
        prefix = lines.id_prefix(writer.run, "metrics")
        file.write(lines.seal(b'%s%012d","seq":%d,"ts"%s' % (prefix, written, written, body)))
        written += 1
during = process.memory_info().rss
outage.down = False
for thread in threads:
    thread.join()
ship_all(followers[:3])
after = process.memory_info().rss
found = objects.index(archive)[writer.run]["metrics"]
ranges = [(batch.first, batch.last) for batch in found]
contiguous = all(one[1] + 1 == other[0] for one, other in zip(ranges, ranges[1:]))
print(json.dumps({"archived": ranges[-1][1] + 1, "first": ranges[0][0], "contiguous": contiguous,
                  "live": followers[0].shipped(writer.run, "metrics").next,
                  "before": before >> 20, "during": during >> 20, "after": after >> 20}))
"""


@pytest.mark.slow
def test_two_hundred_thousand_records_of_an_outage_arrive_in_bounded_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(RECORDS)]

    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    report = json.loads(answer.stdout)
    sys.stdout.write(f"resident MiB: {report['before']} before, {report['during']} during, {report['after']} after\n")
    assert (report["first"], report["archived"], report["contiguous"]) == (0, RECORDS, True)
    assert report["live"] == RECORDS
    assert report["during"] - report["before"] < 16
    assert report["after"] - report["before"] < 128
