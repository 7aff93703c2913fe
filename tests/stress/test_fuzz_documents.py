"""Hostile documents end in a document or in one sentence, never in anything else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="seq2seq[documents] is not installed")
from fuzz_documents import attempt, make_case

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(3))
def test_small_hostile_documents_are_read_or_refused_in_a_sentence(seed: int) -> None:
    for number in range(20 * seed, 20 * seed + 20):
        case = make_case(number, seed, size=2000)
        outcome, told = attempt(case)
        assert outcome in ("translated", "refused"), (number, case, told)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
def test_hostile_documents_never_fall_over_reach_out_or_grow() -> None:
    """A few of the thousand cases that `tests/stress/fuzz_documents.py` makes."""
    words = ["--count", "90", "--seed", "3", "--size", "200000", "--megabytes", "400"]
    done = subprocess.run(
        [sys.executable, "tests/stress/fuzz_documents.py", *words],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "tests", *sys.path]))},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *_, total, last = done.stdout.splitlines()
    assert total.split()[:2] == ["all", "90"]
    assert last.endswith(" 0 faults")
