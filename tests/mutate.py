"""How many small faults the tests see: mutants of a module, each against the tests of that module.

A mutant has one operator, number or condition of the module changed by Cosmic Ray. One that no test
sees lives; what lives is shown, and is either a test that is missing or a change of no effect.

    python tests/mutate.py seq2seq/corpus/batches.py --count 20
"""

import difflib
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import pytest
import typer
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

_ROOT = Path(__file__).parent.parent
_OPTIONS = (
    *("-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-seed=0"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of what is preloaded
)
_PRELOADED = ["__main__", "hypothesis", "onnxruntime", "sacrebleu", "sentencepiece", "torch"]
"""Imported once; each run of the tests is forked from there."""

_UNCHANGED = ("BitOr", "Decorator")  # of types; a test that needs its decorator fails at once


class Mutant(NamedTuple):
    """A module with one change."""

    code: str
    operator: str


def mutants_of(code: str, count: int, seed: int) -> list[Mutant]:
    """At most `count` mutants of `code`, each changed in another place; the seed decides which."""
    tree = get_ast(code)
    changes: dict[tuple[tuple[int, int], tuple[int, int]], list[tuple[str, int]]]
    changes = defaultdict(list)
    for name in operator_names():
        operator_class = get_operator(name)
        if any(word in name for word in _UNCHANGED) or operator_class.arguments():
            continue
        positions = (
            position
            for node in ast_nodes(tree)
            for position in operator_class().mutation_positions(node)
        )
        for occurrence, position in enumerate(positions):
            changes[position].append((name, occurrence))
    chooser = random.Random(seed)
    places = chooser.sample(sorted(changes), min(count, len(changes)))
    chosen = [chooser.choice(changes[place]) for place in places]
    mutants = (
        Mutant(mutate_code(code, get_operator(name)(), occurrence), name)
        for name, occurrence in chosen
    )
    return [mutant for mutant in mutants if mutant.code not in (None, code)]


def passes(tree: Path, tests: Sequence[str], seconds: float | None) -> bool:
    """Whether `tests` pass in the checkout `tree` within so many seconds; None: however long."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    process = context.Process(target=_run_tests, args=(tree, tests))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def _run_tests(tree: Path, tests: Sequence[str]) -> None:
    # Without bytecode: Python would not read a module again that changes twice in a second.
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.exit(pytest.main([*_OPTIONS, *tests]))


def copy_checkout(tree: Path) -> None:
    """Copy what git knows of this checkout, as it is now, to the folder `tree`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(_ROOT / name, tree / name)


def difference(code: str, mutant: Mutant) -> str:
    """The changed lines."""
    lines = difflib.unified_diff(code.splitlines(), mutant.code.splitlines(), lineterm="", n=0)
    return "\n".join(f"    {line}" for line in list(lines)[2:])


def main(
    modules: Annotated[list[Path], typer.Argument(help="Such as seq2seq/corpus/batches.py.")],
    tests: Annotated[
        list[str] | None,
        typer.Option(help="Files of tests; without it tests/test_NAME.py of each module."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Mutants of each module.")] = 20,
    seed: Annotated[int, typer.Option(help="Another one, other mutants.")] = 1,
) -> None:
    """Change modules in a copy of the checkout, and tell which changes the tests do not see."""
    seen = tried = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_checkout(tree)
        for module in modules:
            own_tests = tests or [f"tests/test_{module.stem}.py"]
            started = time.perf_counter()
            if not passes(tree, own_tests, None):
                raise SystemExit(f"{module}: its tests fail as it is: {', '.join(own_tests)}")
            patience = 10 + 5 * (time.perf_counter() - started)
            code = (tree / module).read_text(encoding="utf-8")
            mutants = mutants_of(code, count, seed)
            living = []
            for mutant in mutants:
                (tree / module).write_text(mutant.code, encoding="utf-8")
                if passes(tree, own_tests, patience):
                    living.append(mutant)
            (tree / module).write_text(code, encoding="utf-8")
            seen, tried = seen + len(mutants) - len(living), tried + len(mutants)
            print(f"{module}: {len(mutants) - len(living)} of {len(mutants)} seen", flush=True)
            for mutant in living:
                print(f"  {mutant.operator}\n{difference(code, mutant)}", flush=True)
    print(f"in all: {seen} of {tried} seen ({seen / max(1, tried):.0%})")


if __name__ == "__main__":
    typer.run(main)
