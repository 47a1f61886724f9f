"""From a feed's URL to the feed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.errors import FeedError
from runner.feeds.base import Feed


def open_feed(url: str, symbols: Sequence[str] = ()) -> Feed:
    """The feed of `url`, checked whole: `sample`, or `replay:PATH` with a file or folder of bars.

    `symbols` narrows it; empty means all. Raises `FeedError` for whatever would stop it later.
    """
    scheme, _, path = url.partition(":")
    if url == "sample":
        from runner.feeds.sample import open_sample

        return open_sample(symbols)
    if scheme == "replay" and path:
        from runner.feeds.replay import open_replay

        return open_replay(Path(path).expanduser(), symbols)
    raise FeedError(
        f"unknown feed {url!r}", "use sample, or replay:PATH with a feather, Parquet or CSV file or a folder"
    )
