"""Damaged model directories end in a translation or in one sentence, never in anything else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
def test_damaged_folders_never_fall_over() -> None:
    """A few of the thousands of cases that `tests/stress/fuzz_models.py` makes."""
    words = ["--model", "tests/golden/int8", "--count", "72", "--seed", "2"]
    done = subprocess.run(
        [sys.executable, "tests/stress/fuzz_models.py", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [ROOT, *sys.path]))},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *_, total, last = done.stdout.splitlines()
    assert total.split()[:2] == ["all", "72"]
    assert last.endswith(" 0 faults")
