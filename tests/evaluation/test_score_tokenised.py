import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def score(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "score_tokenised.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)


@pytest.fixture
def lines(tmp_path: Path) -> tuple[Path, Path]:
    """Four French references, and translations that differ in case, quotes and one word."""
    references, hypotheses = tmp_path / "ref.fr", tmp_path / "hyp.fr"
    texts = [
        "Un homme s'assoit dans l'herbe.",
        "Il dit « oui ».",
        "L'arbre est vert.",
        "Une fille court.",
    ]
    references.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    changed = [texts[0].upper(), 'Il dit " oui ".', *texts[2:]]
    changed[3] = "Une fille saute."
    hypotheses.write_text("".join(f"{text}\n" for text in changed), encoding="utf-8")
    return hypotheses, references


def test_counts_moses_tokens_in_lower_case(lines: tuple[Path, Path]) -> None:
    done = score(*lines, "-l", "fr")
    assert done.returncode == 0, done.stderr
    # 8 + 6 + 5 + 4 tokens, an article and its word apart; one of them is another
    assert "hyp_len = 23 ref_len = 23" in done.stdout
    assert f"{100 * 22 / 23:.1f}/" in done.stdout
    assert "tok:none" in done.stdout


def test_refuses_files_that_do_not_belong_together(lines: tuple[Path, Path]) -> None:
    hypotheses, references = lines
    hypotheses.write_bytes(b"")
    done = score(hypotheses, hypotheses, "-l", "fr")
    assert (done.returncode, done.stderr) == (
        1,
        f"score_tokenised: {hypotheses}: no lines in it.\n",
    )
    hypotheses.write_text("eins\n", encoding="utf-8")
    done = score(hypotheses, references, "-l", "fr")
    assert done.returncode == 1
    assert done.stderr == (
        "score_tokenised: 1 translations do not fit 4 references: both need the same number of "
        "lines.\n"
    )
