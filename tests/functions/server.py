"""A function as the platform runs it: the functions framework in a process of its own, asked over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.emulators.emulator import Emulator, Program, free_host, start

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "main.py"
SECONDS_TO_ANSWER = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    said: dict[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Server:
    """A running function. `folder` holds what it wrote to stdout."""

    process: Emulator
    folder: Path

    @property
    def url(self) -> str:
        return self.process.url

    def call(
        self,
        body: bytes | str | dict[str, Any] = b"",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request and its answer, which is JSON unless the framework itself gave it."""
        content = json.dumps(body) if isinstance(body, dict) else body
        answer = httpx.request(
            method, self.url, content=content, headers=headers, timeout=SECONDS_TO_ANSWER, verify=False
        )
        is_json = answer.headers["content-type"] == "application/json"
        return Reply(answer.status_code, answer.json() if is_json else {"text": answer.text}, answer.headers)

    def entries(self) -> list[dict[str, Any]]:
        """What it said to Cloud Logging, in order; other output is left out."""
        lines = (self.folder / "output.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith('{"severity"')]

    def output(self) -> str:
        return (self.folder / "output.log").read_text()

    def kill(self) -> None:
        """SIGKILL for it and all its workers; it may be gone already."""
        self.process.kill()


def serve(target: str, folder: Path, environ: Mapping[str, str], source: Path = MAIN) -> Server:
    """Start a function and wait until it can be asked."""

    def program(_: Path) -> Program:
        host = free_host()
        address, port = host.split(":")
        command = [str(Path(sys.executable).with_name("functions-framework")), f"--target={target}"]
        command += [f"--source={source}", f"--host={address}", f"--port={port}"]
        return Program(command, host, "/robots.txt", {"PYTHONPATH": str(ROOT), "THREADS": "4", **environ})

    return Server(start(target, program, folder), folder)
