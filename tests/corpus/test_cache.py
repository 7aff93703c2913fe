"""The cache: entries are whole or made again, and every failure is a sentence."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seq2seq.corpus import cache
from seq2seq.errors import Seq2SeqError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this test."""
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def writing(text: str, calls: list[str] | None = None) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "text").write_text(text, encoding="utf-8")
        if calls is not None:
            calls.append(text)

    return make


def test_an_entry_is_made_once() -> None:
    calls: list[str] = []
    paths = {cache.entry("kind", ("a", "b"), writing("one", calls)) for _ in range(3)}
    assert calls == ["one"]
    assert (paths.pop() / "text").read_text() == "one"


def test_whatever_it_is_made_from_names_it() -> None:
    made_from = [("a", "b"), ("ab",), ("a", "c"), ("b", "a"), ()]
    paths = [cache.entry("kind", parts, writing("one")) for parts in made_from]
    paths.append(cache.entry("other", ("a", "b"), writing("one")))
    assert len(set(paths)) == len(paths)


def test_nothing_else_is_left_behind(folder: Path) -> None:
    cache.entry("kind", ("a",), writing("one"))

    def fail(path: Path) -> None:
        (path / "text").touch()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.entry("kind", ("b",), fail)
    assert len(list(folder.iterdir())) == 1


def _shorter(path: Path) -> None:
    (path / "text").write_text("on")


def _missing(path: Path) -> None:
    (path / "text").unlink()


def _sizes(path: Path) -> None:
    (path / "sizes").write_text("{")


@pytest.mark.parametrize("damage", [_shorter, _missing, _sizes])
def test_a_damaged_entry_is_made_again(damage: Callable[[Path], None], folder: Path) -> None:
    path = cache.entry("kind", ("a",), writing("one"))
    damage(path)
    assert (cache.entry("kind", ("a",), writing("one")) / "text").read_text() == "one"
    assert list(folder.iterdir()) == [path]


def test_another_process_may_be_faster() -> None:
    def make(folder: Path) -> None:
        writing("one")(folder)
        faster.append(cache.entry("kind", ("a",), writing("one")))

    faster: list[Path] = []
    path = cache.entry("kind", ("a",), make)
    assert faster == [path]
    assert (path / "text").read_text() == "one"


def test_an_entry_that_another_process_reads_stays_where_it_is() -> None:
    def make(folder: Path) -> None:
        writing("one")(folder)
        path = cache.entry("kind", ("a",), writing("one"))
        folders.append(path.stat().st_ino)

    folders: list[int] = []
    path = cache.entry("kind", ("a",), make)
    assert folders == [path.stat().st_ino]


def test_two_processes_at_once(folder: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from seq2seq.corpus import cache\n"
        "def make(folder): (folder / 'text').write_text('one' * 1000)\n"
        "for number in range(30):\n"
        "    path = cache.entry('kind', (str(number),), make)\n"
        "    assert (path / 'text').read_text() == 'one' * 1000\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert len(list(folder.iterdir())) == 30


def test_what_killed_processes_left_is_removed(folder: Path) -> None:
    old, young = folder / ".kind-0a1b.2c3d.partial", folder / ".kind-4e5f.6a7b.partial"
    other = folder / "thesis.partial"  # the folder may be one that the user has other things in
    for path in (old, young, other):
        path.mkdir(parents=True)
        os.utime(path, (0, 0))
    os.utime(young)
    cache.entry("kind", ("a",), writing("one"))
    assert not old.exists()
    assert young.exists()
    assert other.exists()


def test_a_cache_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "file").touch()
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(folder.parent / "file"))
    with pytest.raises(Seq2SeqError, match=r"file: the cache .* cannot be written: .*SEQ2SEQ"):
        cache.entry("kind", ("a",), writing("one"))
    with pytest.raises(Seq2SeqError, match="cannot be written"):
        cache.scratch(cache.SMALL + 1, np.uint8)


def test_a_full_disk(folder: Path) -> None:
    def make(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(Seq2SeqError, match=r"written: No space left on device; make room"):
        cache.entry("kind", ("a",), make)
    assert list(folder.iterdir()) == []


def test_an_entry_that_goes_while_it_is_used(folder: Path) -> None:
    with pytest.raises(Seq2SeqError, match="gone while it was in use; run the command again"):
        cache.mapped(folder / "kind" / "array")


@pytest.mark.parametrize("small", [0, 1 << 20])
@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_scratch_space(
    size: int, small: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SMALL", small)
    array = cache.scratch(size, np.int32)
    assert array.shape == (size,)
    assert not array.any()
    array[:] = np.arange(size)
    assert array.sum() == size * (size - 1) // 2
    assert not folder.exists() or list(folder.iterdir()) == []


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQ2SEQ_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache.cache_folder() == Path("/caches/seq2seq").absolute()
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_folder() == Path.home() / ".cache" / "seq2seq"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)
def test_an_ordinary_user_can_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        monkeypatch.setenv("SEQ2SEQ_CACHE", f"{folder}/cache")
        os.seteuid(65534)
        try:
            path = cache.entry("kind", ("a",), writing("one"))
            assert (path / "text").read_text() == "one"
        finally:
            os.seteuid(0)


def test_without_a_home_folder_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SEQ2SEQ_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(Seq2SeqError, match="name a folder with the environment variable SEQ2SEQ"):
        cache.cache_folder()
