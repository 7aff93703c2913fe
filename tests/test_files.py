"""Files and folders that appear whole: nothing that was there is lost, left open or left behind."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers import tiny

from seq2seq.confidence import Calibration
from seq2seq.config.model_config import Direction, ModelConfig
from seq2seq.errors import Seq2SeqError
from seq2seq.files import (
    read_bounded,
    remove_leftovers,
    replacing_file,
    replacing_folder,
    write_file,
)
from seq2seq.model_dir.read import load_model_dir, read_config
from seq2seq.model_dir.write import add_calibrations

NEIGHBOURS = ["{}.old", "{}.partial", ".{}.partial", ".{}.old", ".{}", "{}~", "{}.tmp", "lock"]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestReplacingAFile:
    def test_the_old_file_is_there_until_the_new_one_is_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "out.txt"
        path.write_bytes(b"old")
        with replacing_file(path) as file:
            file.write(b"new")
            file.flush()
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"
        assert names(tmp_path) == {"out.txt"}

    def test_a_failure_leaves_all_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "out.txt"
        path.write_bytes(b"old")

        def fail() -> None:
            with replacing_file(path) as file:
                file.write(b"half")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == {"out.txt"}

    @pytest.mark.parametrize("rights", [0o600, 0o640, 0o755, 0o666])
    def test_the_mode_stays(self, rights: int, tmp_path: Path) -> None:
        path = tmp_path / "out.txt"
        path.write_bytes(b"old")
        path.chmod(rights)
        with replacing_file(path) as file:
            [aside] = set(tmp_path.iterdir()) - {path}
            assert mode(aside) == 0o600  # nobody reads along meanwhile
            file.write(b"new")
        assert mode(path) == rights

    def test_a_new_file_has_the_mode_of_any_new_file(self, tmp_path: Path) -> None:
        (tmp_path / "plain").write_bytes(b"")
        write_file(tmp_path / "out.txt", b"new")
        assert mode(tmp_path / "out.txt") == mode(tmp_path / "plain")

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
    def test_the_owner_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "out.txt"
        path.write_bytes(b"old")
        os.chown(path, 12345, 54321)
        write_file(path, b"new")
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)

    def test_where_the_owner_cannot_be_kept_the_file_is_written_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "out.txt"
        path.write_bytes(b"old and longer")
        before = path.stat()

        monkeypatch.setattr("seq2seq.files._keep_rights", lambda *_: False)
        write_file(path, b"new")
        assert path.read_bytes() == b"new"
        assert path.stat().st_ino == before.st_ino
        assert names(tmp_path) == {"out.txt"}

    def test_neighbours_of_like_names_stay(self, tmp_path: Path) -> None:
        """Also where they are links, as somebody lays them who foresees the name."""
        victim = tmp_path / "victim"
        victim.write_bytes(b"dear")
        for name in (*NEIGHBOURS, f".{{}}.{os.getpid()}", f"{{}}.{os.getpid()}"):
            (tmp_path / name.format("out.txt")).symlink_to(victim)
        before = names(tmp_path)
        write_file(tmp_path / "out.txt", b"new")
        assert names(tmp_path) == before | {"out.txt"}
        assert victim.read_bytes() == b"dear"


class TestReplacingAFolder:
    def test_the_old_folder_is_there_until_the_new_one_is_whole(self, tmp_path: Path) -> None:
        target = tmp_path / "model"
        target.mkdir()
        (target / "old").write_bytes(b"")
        target.chmod(0o750)
        with replacing_folder(target) as aside:
            (aside / "new").write_bytes(b"")
            assert names(target) == {"old"}
        assert names(target) == {"new"}
        assert mode(target) == 0o750
        assert names(tmp_path) == {"model"}

    def test_a_failure_leaves_all_as_it_was(self, tmp_path: Path) -> None:
        target = tmp_path / "model"
        target.mkdir()
        (target / "old").write_bytes(b"")

        def fail() -> None:
            with replacing_folder(target) as aside:
                (aside / "new").write_bytes(b"")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert names(target) == {"old"}
        assert names(tmp_path) == {"model"}

    def test_neighbours_of_like_names_stay(self, tmp_path: Path) -> None:
        for name in NEIGHBOURS:
            folder = tmp_path / name.format("model")
            folder.mkdir()
            (folder / "thesis.tex").write_bytes(b"dear")
        before = names(tmp_path)
        for _ in range(2):
            with replacing_folder(tmp_path / "model") as aside:
                (aside / "new").write_bytes(b"")
        assert names(tmp_path) == before | {"model"}
        assert all(names(tmp_path / name) == {"thesis.tex"} for name in before)

    def test_of_many_at_once_one_is_there_whole(self, tmp_path: Path) -> None:
        failures: list[BaseException] = []

        def replace_often(number: int) -> None:
            try:
                for _ in range(20):
                    with replacing_folder(tmp_path / "model") as aside:
                        for name in "abc":
                            (aside / name).write_text(f"{number}")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=replace_often, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert names(tmp_path) == {"model"}
        assert names(tmp_path / "model") == {*"abc"}
        assert len({(tmp_path / "model" / name).read_text() for name in "abc"}) == 1


@pytest.mark.skipif(os.name == "nt", reason="has no such signals")
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_behind(number: int, kind: str, tmp_path: Path) -> None:
    script = (
        f"from seq2seq.files import replacing_{kind}; from pathlib import Path; import time\n"
        f"with replacing_{kind}(Path({str(tmp_path / 'out')!r})):\n"
        "    print('begun', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout
    with process.stdout:
        process.stdout.readline()
        assert len(names(tmp_path)) == 1
        process.send_signal(number)
        assert process.wait(10) != 0
    assert names(tmp_path) == set()


class TestLeftovers:
    def test_half_of_a_file_or_folder_goes(self, tmp_path: Path) -> None:
        (tmp_path / ".step-1.0123456789abcdef.partial").mkdir()
        (tmp_path / ".step-2.0123456789abcdef.partial").write_bytes(b"")
        remove_leftovers(tmp_path, "step-*")
        assert names(tmp_path) == set()

    def test_what_was_moved_away_comes_back_unless_it_was_replaced(self, tmp_path: Path) -> None:
        (tmp_path / ".step-1.0123456789abcdef.old").mkdir()
        (tmp_path / ".step-2.0123456789abcdef.old").mkdir()
        (tmp_path / "step-2").mkdir()
        remove_leftovers(tmp_path, "step-*")
        assert names(tmp_path) == {"step-1", "step-2"}

    def test_names_of_others_stay(self, tmp_path: Path) -> None:
        for name in (*NEIGHBOURS, ".{}.0123.partial", "x.{}.0123456789abcdef.partial"):
            (tmp_path / name.format("step-1")).mkdir()
        (tmp_path / ".out.txt.0123456789abcdef.partial").mkdir()  # another command is at work
        before = names(tmp_path)
        remove_leftovers(tmp_path, "step-*")
        assert names(tmp_path) == before


class TestReadingWithABound:
    def test_a_file_of_just_that_size_is_read(self, tmp_path: Path) -> None:
        write_file(tmp_path / "file", b"1234")
        assert read_bounded(tmp_path / "file", 4) == b"1234"

    def test_a_larger_one_is_refused(self, tmp_path: Path) -> None:
        write_file(tmp_path / "file", b"12345")
        with pytest.raises(Seq2SeqError, match="file: more than 4 bytes, too large"):
            read_bounded(tmp_path / "file", 4)

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device")
    def test_a_device_without_end_is_refused(self) -> None:
        with pytest.raises(Seq2SeqError, match="/dev/zero: more than 1,000 bytes"):
            read_bounded(Path("/dev/zero"), 1000)


class TestModelFolders:
    def test_an_export_leaves_neighbours_of_like_names_alone(self, tmp_path: Path) -> None:
        for name in NEIGHBOURS:
            folder = tmp_path / name.format("m.s2s")
            folder.mkdir()
            (folder / "thesis.tex").write_bytes(b"dear")
        before = names(tmp_path)
        for _ in range(2):
            tiny.export(tiny.network(ModelConfig(hidden_size=16, heads=2)), tmp_path / "m.s2s")
        assert names(tmp_path) == before | {"m.s2s"}
        assert all(names(tmp_path / name) == {"thesis.tex"} for name in before)
        load_model_dir(tmp_path / "m.s2s", threads=1)

    def test_calibrations_of_other_directions_stay(self, tmp_path: Path) -> None:
        model = tiny.export(tiny.network(ModelConfig(hidden_size=16, heads=2)), tmp_path / "m.s2s")
        there, back = Direction("en", "de"), Direction("de", "en")

        def calibration(direction: Direction, least: float) -> Calibration:
            return Calibration(direction, (-1.0, 0.0), (least, 1.0))

        add_calibrations(model, [calibration(there, 0.1), calibration(back, 0.2)])
        add_calibrations(model, [calibration(there, 0.3)])
        known = {one.direction: one for one in read_config(model).calibrations}
        assert known == {there: calibration(there, 0.3), back: calibration(back, 0.2)}
