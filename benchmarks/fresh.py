"""One sample in a fresh process, and rounds of samples in shuffled order.

`python -m benchmarks.fresh <module> <argument> ...` calls `sample(*arguments)` of a measure and prints what it returns.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence

Sample = dict[str, float]
Case = tuple[str, ...]


def medians(module: str, cases: Sequence[Case], rounds: int) -> dict[Case, Sample]:
    """The median of every figure of every case. Each round runs all cases in another order."""
    samples: dict[Case, list[Sample]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in random.Random(number).sample(list(cases), len(cases)):
            samples[case].append(_run(module, case))
    return {
        case: {name: statistics.median(sample[name] for sample in found) for name in found[0]}
        for case, found in samples.items()
    }


def load() -> str:
    """How busy the machine is with other things."""
    return "load " + " ".join(f"{value:.1f}" for value in os.getloadavg())


def _run(module: str, case: Case) -> Sample:
    command = [sys.executable, "-m", "benchmarks.fresh", module, *case]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    sample: Sample = json.loads(done.stdout.splitlines()[-1])
    return sample


if __name__ == "__main__":
    measure = importlib.import_module(f"benchmarks.{sys.argv[1]}")
    print(json.dumps(measure.sample(*sys.argv[2:])))
