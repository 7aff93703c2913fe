"""Reading parallel text: what comes back, and what each kind of bad file is told."""

import bz2
import gzip
import json
import lzma
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from seq2seq import files
from seq2seq.config.recipe import HubSource
from seq2seq.corpus import ParallelText, cache, read_lines, read_parallel, tables
from seq2seq.corpus import readers as reading
from seq2seq.errors import Seq2SeqError

SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r\t\u00a0"
LINES = st.lists(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\n") | st.sampled_from(SEPARATORS)
    ).filter(lambda line: not line.endswith("\r"))
)


def pack_zstd(data: bytes) -> bytes:
    """Two frames, as programs that pack in parallel write them."""
    return b"".join(zstandard.compress(part) for part in (data[:100], data[100:]))


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": pack_zstd,
}
NAMES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}


def write(path: Path, content: str | bytes) -> Path:
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(PACK[path.suffix](data) if path.suffix in PACK else data)
    return path


def read(source: str | HubSource) -> ParallelText:
    return read_parallel(source, "en", "de")


def error(source: str | Path | HubSource) -> str:
    with pytest.raises(Seq2SeqError) as caught:
        read(str(source) if isinstance(source, Path) else source)
    return str(caught.value)


@pytest.fixture(params=["small", "large"])
def kind(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Texts that are held in memory, and those that go through the cache, in short blocks."""
    if request.param == "large":
        monkeypatch.setattr(cache, "SMALL", -1)
        monkeypatch.setattr(tables, "_ROWS", 1)
        monkeypatch.setattr(reading, "_BLOCK", 5)
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(tmp_path / "texts"))
    yield request.param
    assert (tmp_path / "texts").exists() <= (request.param == "large")
    assert not list(tmp_path.glob("texts/*.partial"))


@given(lines=LINES, packed=st.booleans(), size=st.integers(3, 8), small=st.booleans())
def test_lines_come_back_as_written(lines: list[str], packed: bool, size: int, small: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQ2SEQ_CACHE", f"{folder}/cache")
        patch.setattr(files, "sync", lambda path: None)  # hundreds of examples
        patch.setattr(cache, "SMALL", 1 << 20 if small else -1)
        patch.setattr(reading, "_BLOCK", size)
        path = Path(folder, "text.gz" if packed else "text")
        # U+FEFF is text, except at the very start of a file: write one there to be removed.
        write(path, "\ufeff" + "".join(line + "\n" for line in lines))
        assert read_lines(path) == lines


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\nb", ["a", "b"]),
        ("a\u2028b\x85c\rd\n".encode(), ["a\u2028b\x85c\rd"]),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert read_lines(write(tmp_path / "text", content)) == lines


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize(
    ("english", "german"), [("", ""), (".gz", ".gz"), ("", ".gz"), (".xz", ".bz2"), (".zst", "")]
)
def test_two_files_side_by_side(tmp_path: Path, english: str, german: str) -> None:
    write(tmp_path / f"train.v1.en{english}", "one\ntwo\n")
    write(tmp_path / f"train.v1.de{german}", "eins\nzwei\n")
    text = read(str(tmp_path / "train.v1"))
    assert text == ParallelText(str(tmp_path / "train.v1"), ["one", "two"], ["eins", "zwei"])
    assert len(text) == 2


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("name", ["pairs.tsv", *(f"pairs.tsv{ending}" for ending in PACK)])
def test_tsv_ignores_columns_after_the_second(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "one\teins\ntwo\tzwei\tCC-BY 2.0\t#42\n\tleer\n")
    text = read(str(path))
    assert text == ParallelText(str(path), ["one", "two", ""], ["eins", "zwei", "leer"])


def test_missing_files_are_both_named(tmp_path: Path) -> None:
    write(tmp_path / "train.en", "one\n")
    message = error(tmp_path / "train")
    assert str(tmp_path / "train.de") in message
    assert str(tmp_path / "train.de.gz") in message
    assert "--from and --to" in message
    assert "no such file" in error(tmp_path / "none.tsv")


def test_a_file_where_a_prefix_belongs(tmp_path: Path) -> None:
    for name in ("test.en", "train.de.gz", "pairs.txt"):
        (tmp_path / name).touch()
    assert error(tmp_path / "test.en").endswith(f"give the prefix {tmp_path / 'test'}.")
    assert error(tmp_path / "train.de.gz").endswith(f"give the prefix {tmp_path / 'train'}.")
    message = error(tmp_path / "pairs.txt")
    assert "ends in .tsv, " in message
    assert ".parquet" in message
    assert ".tmx" in message


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.tsv").mkdir()
    assert "folder.tsv: cannot be read" in error(tmp_path / "folder.tsv")


@pytest.mark.usefixtures("kind")
def test_unequal_line_counts_are_both_named(tmp_path: Path) -> None:
    write(tmp_path / "train.en", "one\n" * 1200)
    write(tmp_path / "train.de", "eins\n" * 1199)
    message = error(tmp_path / "train")
    assert "train.en has 1,200 lines" in message
    assert "train.de has 1,199" in message


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("name", ["train.tsv", "train.tsv.gz"])
def test_invalid_utf8_names_its_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"\xef\xbb\xbfone\teins\ntwo\tzwei\nfour\tf\xfcnf\n")
    assert f"{path}, line 3: not UTF-8 (byte 0xfc)" in error(path)


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("ending", PACK)
def test_a_damaged_packed_file(ending: str, tmp_path: Path) -> None:
    whole = PACK[ending](b"one\teins\n" * 1000)
    for name, data in {
        "cut": whole[:-12],
        "flipped": whole[:20] + b"\xff\xff" + whole[22:],
        "plain": b"one\teins\n",
    }.items():
        path = tmp_path / f"{name}.tsv{ending}"
        path.write_bytes(data)
        assert f"{path}: not a {NAMES[ending]} file, or a damaged one" in error(path)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"PK\x03\x04\x14\x00\xff", "a document of Word, LibreOffice or the like"),
        (b"%PDF-1.7\n\xe2\xe3\n", "a PDF"),
        ("käse\tkäse\n".encode("utf-16"), "text in UTF-16"),
    ],
)
def test_a_document_is_told_from_text_in_another_encoding(
    start: bytes, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(start)
    assert f"{path}: {kind}" in error(path)


@pytest.mark.usefixtures("kind")
def test_a_line_without_a_tab_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.tsv", "one\teins\ntwo zwei\n")
    assert f"{path}, line 2: no tab" in error(path)


@pytest.mark.usefixtures("kind")
def test_an_empty_corpus(tmp_path: Path) -> None:
    write(tmp_path / "train.en", "")
    write(tmp_path / "train.de", "")
    assert error(tmp_path / "train").endswith("train: the corpus is empty.")
    assert "is empty" in error(write(tmp_path / "pairs.tsv", ""))


def test_a_file_is_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SMALL", -1)
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "train.tsv", "one\teins\n")
    text = read(str(path))
    packed = write(tmp_path / "other.tsv.gz", "one\teins\n")
    assert read(str(packed)).source.digest == text.source.digest  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_blocks", None)
        assert read(str(path)) == text
        assert read(str(packed)).target == ["eins"]
    write(path, "two\tzwei\n")
    assert read(str(path)).source == ["two"]
    assert text.source == ["one"]  # what is in use stays as it was


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "text", "one\n")
    digests = iter("ab")
    monkeypatch.setattr(cache, "SMALL", -1)
    monkeypatch.setattr(reading, "_digest", lambda path: next(digests))
    with pytest.raises(Seq2SeqError, match="text: changed while being read"):
        read_lines(path)


def write_table(path: Path, source: list[str | None], target: list[str | None]) -> Path:
    """A table of Parquet or Arrow, with a column more than is read."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    table = pa.table({"id": range(len(source)), "en": source, "de": target})
    if path.suffix == ".parquet":
        write_table(table, path, row_group_size=1)
    else:
        with pa.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table, max_chunksize=1)
    return path


@pytest.mark.usefixtures("kind")
class TestShards:
    """Files whose names fit a pattern are one corpus."""

    def test_they_follow_each_other_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "whole.tsv", "".join(f"en {n}\tde {n}\n" for n in range(6)))
        for number in (2, 0, 1):
            lines = (f"en {n}\tde {n}\n" for n in range(2 * number, 2 * number + 2))
            write(tmp_path / f"part-{number}.tsv.zst", "".join(lines))
        pattern = str(tmp_path / "part-*.tsv.zst")
        text = read(pattern)
        assert text.name == pattern
        expected = read(str(whole))
        assert (text.source, text.target) == (expected.source, expected.target)
        digests = [side.digest for side in (text.source, expected.source)]  # type: ignore[attr-defined]
        assert digests[0] == digests[1]

    @pytest.mark.parametrize("ending", [".parquet", ".arrow"])
    def test_a_table_has_a_column_for_each_language(self, ending: str, tmp_path: Path) -> None:
        write_table(tmp_path / f"part-b{ending}", ["three", None], ["drei", "vier"])
        write_table(tmp_path / f"part-a{ending}", ["one\ntwo"], ["eins\u2028zwei"])
        text = read(str(tmp_path / f"part-*{ending}"))
        assert text.source == ["one two", "three", ""]
        assert text.target == ["eins\u2028zwei", "drei", "vier"]
        assert read(str(tmp_path / f"part-b{ending}")).source == ["three", ""]

    def test_a_changed_shard_is_read_anew(self, tmp_path: Path) -> None:
        for name in "ab":
            write(tmp_path / f"{name}.tsv", f"{name}\t{name}\n")
        assert read(str(tmp_path / "?.tsv")).source == ["a", "b"]
        write(tmp_path / "b.tsv", "c\tc\n")
        assert read(str(tmp_path / "?.tsv")).source == ["a", "c"]

    def test_a_pattern_that_fits_no_file_is_refused(self, tmp_path: Path) -> None:
        for name in ("part-*.tsv", "part-*.parquet"):
            message = error(tmp_path / name)
            assert message.endswith(f"{name}: there is no file whose name fits this pattern.")
        assert "a pattern must match files whose names end in .tsv, " in error(tmp_path / "part-*")

    def test_a_name_that_looks_like_a_pattern_is_a_name_where_there_is_such_a_file(
        self, tmp_path: Path
    ) -> None:
        path = write(tmp_path / "part-[1].tsv", "one\teins\n")
        write(tmp_path / "part-1.tsv", "two\tzwei\n")
        assert read(str(path)).source == ["one"]

    def test_the_shard_with_a_bad_line_is_named(self, tmp_path: Path) -> None:
        write(tmp_path / "a.tsv", "one\teins\n")
        path = write(tmp_path / "b.tsv", "two\tzwei\nthree\n")
        assert error(tmp_path / "*.tsv").startswith(f"{path}, line 2: no tab")

    @pytest.mark.parametrize("ending", [".parquet", ".arrow"])
    def test_the_shard_with_other_columns_is_named(self, ending: str, tmp_path: Path) -> None:
        import pyarrow as pa
        from pyarrow.feather import write_feather
        from pyarrow.parquet import write_table as write_parquet

        write_table(tmp_path / f"a{ending}", ["one"], ["eins"])
        path = tmp_path / f"b{ending}"
        for columns, message in (
            ({"en": ["two"], "fr": ["deux"]}, "there is no column 'de'; it has en, fr."),
            ({"en": ["two"], "de": [2]}, "the column 'de' is not text but int64."),
        ):
            write_shard = write_parquet if ending == ".parquet" else write_feather
            write_shard(pa.table(columns), str(path))
            assert error(tmp_path / f"*{ending}") == f"{path}: {message}"
        write(path, "no table")
        assert error(tmp_path / f"*{ending}").startswith(f"{path}: cannot be read: ")


@pytest.mark.usefixtures("kind")
class TestDatasets:
    """Local files through the same code as sources on the hub."""

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        datasets = pytest.importorskip("datasets")
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))

    @pytest.fixture
    def parquet(self, tmp_path: Path) -> str:
        import datasets

        rows = {"en": ["one\ntwo", "three"], "de": ["eins\u2028zwei", None]}
        datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "pairs.parquet")
        return str(tmp_path / "pairs.parquet")

    @pytest.fixture
    def jsonl(self, tmp_path: Path) -> str:
        rows = [
            {"id": 1, "translation": {"en": "one", "de": "eins"}},
            {"id": 2, "translation": {"en": "two", "de": "zwei"}},
        ]
        return str(write(tmp_path / "pairs.jsonl", "\n".join(map(json.dumps, rows))))

    def test_parquet(self, parquet: str) -> None:
        text = read(HubSource("parquet", ("en", "de"), data_files=parquet))
        assert text.source == ["one two", "three"]
        assert text.target == ["eins\u2028zwei", ""]

    def test_nested_columns_of_json(self, jsonl: str) -> None:
        columns = ("translation.de", "translation.en")
        text = read(HubSource("json", columns, split="train[:1]", data_files=jsonl))
        assert (text.source, text.target) == (["eins"], ["one"])

    def test_an_unknown_column_names_those_there_are(self, parquet: str) -> None:
        message = error(HubSource("parquet", ("en", "fr"), data_files=parquet))
        assert f"{parquet} train: there is no column 'fr'; it has en, de." in message

    def test_a_column_that_is_no_text(self, jsonl: str) -> None:
        message = error(HubSource("json", ("id", "translation.de"), data_files=jsonl))
        assert "row 1: column 'id' has a int, not text" in message

    def test_what_cannot_be_loaded(self, tmp_path: Path, jsonl: str) -> None:
        nowhere = HubSource("json", ("en", "de"), data_files=str(tmp_path / "none.json"))
        assert "datasets cannot load it: Unable to find" in error(nowhere)
        unknown = HubSource("json", ("en", "de"), split="test", data_files=jsonl)
        assert 'Unknown split "test"' in error(unknown)

    @pytest.mark.parametrize("split", ["train", "train[:1]", "test"])
    def test_a_stream_has_the_same_rows_as_what_is_loaded(self, split: str, jsonl: str) -> None:
        columns = ("translation.de", "translation.en")
        stream = HubSource("json", columns, split=split, data_files=jsonl, streaming=True)
        if split == "train":
            text = read(stream)
            assert (text.source, text.target) == (["eins", "zwei"], ["one", "two"])
        else:
            assert f"Bad split: {split}. Available splits" in error(stream)

    def test_a_stream_without_the_column_names_those_there_are(self, jsonl: str) -> None:
        for columns, known in ((("id", "de"), "id, translation"), (("id", "translation.fr"), "en")):
            stream = HubSource("json", columns[::-1], data_files=jsonl, streaming=True)
            column = columns[1].rpartition(".")[2]
            assert f"there is no column {column!r}; it has {known}" in error(stream)

    def test_a_missing_package_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)
        assert "pip install 'seq2seq[train]'" in error(HubSource("some/set", ("en", "de")))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device")
def test_a_device_is_no_corpus(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.symlink_to("/dev/zero")
    with pytest.raises(Seq2SeqError, match=r"train\.tsv: not a file; "):
        read_parallel(str(path), "en", "de")
