"""What is written is what is read, and every bad folder is told in one sentence."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import tiny
from numpy.typing import NDArray
from safetensors.numpy import load_file, save, save_file

from seq2seq.config.model_config import ModelConfig, SearchConfig
from seq2seq.engines import onnx_wire
from seq2seq.engines.weights import OUTPUT, schema
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.model_dir.read import FILES, load_model_dir
from seq2seq.model_dir.write import export_model_dir
from seq2seq.tokenizer import BOS_ID

CONFIG = ModelConfig(hidden_size=16, heads=2)
ONE = np.zeros(1, np.uint16)


def export_int8(output: Path, shortlist: bool = True) -> Path:
    """A model in 8 bits, learned from ids drawn at random."""
    model = tiny.network(CONFIG)
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    side = np.random.default_rng(1).integers(4, len(tiny.tokenizer()), (50, 8)).tolist()
    search = SearchConfig(beam_size=3)
    tokenizer = tiny.tokenizer()
    corpora = {tiny.EN_DE: (side, side)}
    export_model_dir(
        weights, CONFIG, tokenizer, [tiny.EN_DE], search, "", output, corpora, shortlist
    )
    return output


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.export(tiny.network(CONFIG), tmp_path_factory.mktemp("models") / "tiny.s2s")


@pytest.fixture(scope="module")
def exported_int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a shortlist: every file that a model directory can have."""
    return export_int8(tmp_path_factory.mktemp("models") / "int8.s2s")


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "model.s2s"))


def first_step(path: Path) -> NDArray[np.float32]:
    engine = load_model_dir(path, threads=1).engine
    state = engine.encode(np.array([[4, 5, 6]]), np.array([3]))
    return engine.decode_step(state, np.array([BOS_ID])).log_probs


def test_round_trip(exported: Path) -> None:
    shipped = load_model_dir(exported, threads=1)
    assert {path.name for path in exported.iterdir()} == set(FILES) - {"shortlist.safetensors"}
    assert len({path.stat().st_mode for path in exported.iterdir()}) == 1
    assert shipped.path == exported
    assert shipped.model == CONFIG
    assert shipped.search == SearchConfig(beam_size=3)
    assert shipped.directions == (tiny.EN_DE,)
    assert shipped.tokenizer.model == tiny.tokenizer().model
    assert (exported / "README.md").read_text() == "# Card\n"
    assert json.loads((exported / "config.json").read_text())["format_version"] == 4


def test_round_trip_in_8_bits(exported_int8: Path, tmp_path: Path) -> None:
    assert {path.name for path in exported_int8.iterdir()} == set(FILES)
    assert first_step(exported_int8).shape[1] < len(tiny.tokenizer())
    without = export_int8(tmp_path / "m.s2s", shortlist=False)
    assert first_step(without).shape == (1, len(tiny.tokenizer()))
    assert not (without / "shortlist.safetensors").exists()


def test_a_copy_works_elsewhere(exported_int8: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(exported_int8, tmp_path / "über uns" / "copy.s2s")
    assert np.array_equal(first_step(copy), first_step(exported_int8))


@pytest.mark.skipif(os.name == "nt", reason="links need a permission there")
def test_links_are_followed(exported_int8: Path, tmp_path: Path) -> None:
    """As uv and pip may install the files of a package."""
    linked = tmp_path / "linked.s2s"
    linked.mkdir()
    for file in exported_int8.iterdir():
        (linked / file.name).symlink_to(file)
    assert np.array_equal(first_step(linked), first_step(exported_int8))
    (tmp_path / "folder.s2s").symlink_to(linked)
    assert np.array_equal(first_step(tmp_path / "folder.s2s"), first_step(exported_int8))


def test_other_files_and_the_card_do_not_matter(folder: Path) -> None:
    before = first_step(folder)
    (folder / "README.md").write_text("# Another card\n")
    (folder / "LICENCE").write_text("CC BY 2.0")
    (folder / "shortlist.safetensors").write_bytes(b"not asked for")
    assert np.array_equal(first_step(folder), before)
    (folder / "README.md").unlink()
    assert np.array_equal(first_step(folder), before)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weights_are_stored_once(cell: Any, tmp_path: Path) -> None:
    config = ModelConfig(cell, hidden_size=16, heads=2)
    path = tiny.export(tiny.network(config), tmp_path / "m.s2s")
    stored = load_file(path / "weights.safetensors")
    vocabulary_size = len(tiny.tokenizer())
    shapes = {name: weight.shape for name, weight in stored.items()}
    assert shapes == {name: shape for name, (_, shape) in schema(config, vocabulary_size).items()}
    assert [name for name, shape in shapes.items() if shape == (vocabulary_size, 16)] == [
        "embedding.weight"
    ]
    for name, weight in stored.items():
        assert weight.dtype == (np.float32 if weight.ndim == 1 else np.float16), name


def test_weights_in_8_bits_are_stored_once(exported_int8: Path) -> None:
    stored = load_file(exported_int8 / "weights.safetensors")
    tensors = schema(CONFIG, len(tiny.tokenizer()), "int8")
    del tensors[OUTPUT]
    expected = {name: (np.dtype(type_), shape) for name, (type_, shape) in tensors.items()}
    assert {name: (weight.dtype, weight.shape) for name, weight in stored.items()} == expected


def test_loading_imports_neither_torch_nor_onnx(exported: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from seq2seq.model_dir.read import load_model_dir; "
        f"load_model_dir(Path({str(exported)!r}), threads=1); "
        "print(*{'torch', 'onnx', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_export_replaces_an_older_model(folder: Path) -> None:
    before = first_step(folder)
    tiny.export(tiny.network(CONFIG, seed=2), folder)
    assert not np.array_equal(first_step(folder), before)
    assert [path.name for path in folder.parent.iterdir()] == ["model.s2s"]


def test_export_into_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "m.s2s").mkdir()
    first_step(tiny.export(tiny.network(CONFIG), tmp_path / "m.s2s"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.s2s"]


def test_export_leaves_other_things_alone(tmp_path: Path) -> None:
    model = tiny.network(CONFIG)
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "config.json").write_text("{}")
    (thesis / "chapter.tex").write_text("text")
    with pytest.raises(UsageError, match="thesis: a directory that is not a model is in the way"):
        tiny.export(model, thesis)
    assert (thesis / "chapter.tex").read_text() == "text"
    with pytest.raises(UsageError, match=r"chapter.tex: a file is in the way"):
        tiny.export(model, thesis / "chapter.tex")
    with pytest.raises(Seq2SeqError, match=r"m\.s2s: cannot be written: Not a directory"):
        tiny.export(model, thesis / "chapter.tex" / "m.s2s")
    assert sorted(path.name for path in thesis.iterdir()) == ["chapter.tex", "config.json"]


def test_export_refuses_what_does_not_fit(tmp_path: Path) -> None:
    weights = {name: w.numpy() for name, w in tiny.network(CONFIG).state_dict().items()}

    def export(weights: dict[str, NDArray[np.float32]], vocabulary_size: int) -> None:
        tokenizer = tiny.tokenizer(vocabulary_size)
        output = tmp_path / "m.s2s"
        export_model_dir(weights, CONFIG, tokenizer, [tiny.EN_DE], SearchConfig(), "", output)

    with pytest.raises(Seq2SeqError, match="a tokenizer of 430 pieces"):
        export(weights, 430)
    with pytest.raises(Seq2SeqError, match="weight' is not finite in 16 bits"):
        export(weights | {"decoder.project.weight": np.full((16, 32), 1e6, np.float32)}, 420)
    assert not list(tmp_path.iterdir())


def test_export_replaces_a_folder_of_an_older_version(folder: Path) -> None:
    edit_config(format_version=2)(folder)
    for graph in ("encoder.onnx", "step.onnx"):
        (folder / graph).write_bytes(b"graph")
    first_step(tiny.export(tiny.network(CONFIG), folder))
    assert not list(folder.glob("*.onnx"))


@pytest.mark.slow
def test_export_needs_no_onnx(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['onnx'] = None\n"
        "from pathlib import Path; from helpers import tiny\n"
        "from seq2seq.config.model_config import ModelConfig\n"
        "tiny.export(tiny.network(ModelConfig(hidden_size=16)), Path(sys.argv[1]), True, True)"
    )
    path = os.pathsep.join(sys.path)
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", script, tmp_path / "m.s2s"], env=environment, check=True)
    first_step(tmp_path / "m.s2s")


def test_export_refuses_a_search_that_no_folder_may_ask_for(tmp_path: Path) -> None:
    weights = {name: w.numpy() for name, w in tiny.network(CONFIG).state_dict().items()}
    search = SearchConfig(beam_size=500)
    with pytest.raises(UsageError, match=r"beam_size' must be at most 100 in a model"):
        export_model_dir(
            weights, CONFIG, tiny.tokenizer(), [tiny.EN_DE], search, "", tmp_path / "m.s2s"
        )
    assert not list(tmp_path.iterdir())


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        table = json.loads((folder / "config.json").read_text()) | changes
        table = {key: value for key, value in table.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(table))

    return edit


def edit_model(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        model = json.loads((folder / "config.json").read_text())["model"]
        edit_config(model=model | changes)(folder)

    return edit


def edit_search(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        search = json.loads((folder / "config.json").read_text())["search"]
        edit_config(search=search | changes)(folder)

    return edit


def sealed(edit: Callable[[Path], None]) -> Callable[[Path], None]:
    """The same with checksums that fit: a model directory by someone who means ill."""

    def edit_and_seal(folder: Path) -> None:
        edit(folder)
        files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        edit_config(checksums={name: sha256(data).hexdigest() for name, data in files.items()})(
            folder
        )

    return edit_and_seal


def edit_weights(**changes: NDArray[Any] | None) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        weights = load_file(folder / "weights.safetensors") | changes
        kept = {name: weight for name, weight in weights.items() if weight is not None}
        save_file(kept, folder / "weights.safetensors")

    return edit


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return edit


def edit_text(old: str, new: str) -> Callable[[Path], None]:
    """Replace text in `config.json`."""

    def edit(folder: Path) -> None:
        text = (folder / "config.json").read_text()
        assert old in text
        (folder / "config.json").write_text(text.replace(old, new))

    return edit


def link(name: str, target: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return edit


def cut(name: str, size: int) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return edit


def grow(name: str, size: int) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(size)  # takes no room on disk

    return edit


def make_folder(name: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return edit


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def give(name: str, **changes: Any) -> Callable[[Path], None]:
    """A file of another model in its place."""

    def put(folder: Path) -> None:
        config = ModelConfig(**{"hidden_size": 16, "heads": 2, **changes})
        other = tiny.export(tiny.network(config), folder.parent / "other.s2s")
        shutil.copy(other / name, folder / name)

    return put


def edit_header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change what a safetensors file says of its tensors."""

    def edit(folder: Path) -> None:
        data = (folder / "weights.safetensors").read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        (folder / "weights.safetensors").write_bytes(
            len(text).to_bytes(8, "little") + text + data[8 + size :]
        )

    return edit


def edit_tensor(name: str, **changes: Any) -> Callable[[Path], None]:
    return edit_header(lambda header: header[name].update(changes))


def edit_tokenizer(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "tokenizer.model"
        file.write_bytes(change(file.read_bytes()))

    return edit


def piece(letters: bytes, score: float = 0.0) -> bytes:
    return onnx_wire.message(1, onnx_wire.message(1, letters) + onnx_wire.single(2, score))


ALTERED = "altered: its checksum is not the one in config.json; copy or export the model again"
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (remove("config.json"), "not a model directory: it has no config.json"),
    "not JSON": (cut("config.json", 40), "config.json: damaged"),
    "not UTF-8": (write("config.json", b"\xff\xfe"), "config.json: damaged"),
    "deep JSON": (write("config.json", b"[" * 100_000), "config.json: damaged"),
    "other JSON": (
        write("config.json", b"[1]"),
        "config.json: not the config of a model directory",
    ),
    "endless config": (grow("config.json", 5 << 20), "config.json: 5,242,880 bytes, too large"),
    "config a folder": (make_folder("config.json"), "config.json: not a file"),
    "no version": (edit_config(format_version=None), "config.json: .*no format_version"),
    "true version": (edit_config(format_version=True), "config.json: .*no format_version"),
    "newer": (edit_config(format_version=5), "config.json: .*newer than.*upgrade seq2seq"),
    "older": (edit_config(format_version=2), "config.json: .*older than.*export the model again"),
    "oldest": (edit_config(format_version=1), "config.json: .*older than.*export the model again"),
    "unknown key": (edit_config(sarch={}), "config.json: unknown key 'sarch'.*'search'"),
    "missing key": (edit_config(model=None), "config.json: 'model' is missing"),
    "wrong value": (edit_config(model={"cell": "lsmt"}), "config.json: 'model.cell' is 'lsmt'"),
    "wrong type": (edit_config(search=5), "config.json: 'search' must be a table"),
    "classic attention": (
        edit_model(attention="dot"),
        "model.attention 'dot' is only for training runs",
    ),
    "input feeding": (edit_model(input_feeding=True), "model.input_feeding is only for training"),
    "absurd depth": (edit_model(encoder_layers=10**9), "'model.encoder_layers' must be at most 64"),
    "absurd width": (edit_model(hidden_size=10**9), "'model.hidden_size' must be at most 65,536"),
    "width": (edit_model(hidden_size=65_536), "safetensors: '.*' has the shape"),
    "digits": (edit_model(hidden_size=10**4299), "'model.hidden_size' is a number too large"),
    "too many digits": (
        write("config.json", b'{"format_version": 1' + b"0" * 5000 + b"}"),
        "config.json: damaged: Exceeds the limit",
    ),
    "no float": (
        edit_search(length_penalty=10**400),
        "'search.length_penalty' is a number too large for any setting",
    ),
    "nan": (edit_search(prune=float("nan")), "'search.prune' must be a finite number"),
    "lists in lists": (
        edit_text('"hidden_size": 16', '"hidden_size": ' + "[" * 900 + "]" * 900),
        r"config.json: 'model.hidden_size' must be a whole number, not \[\[\[\[",
    ),
    "key of many lines": (
        edit_config(**{"a\nb\x1b[31m\ud800": 1}),
        r"config.json: unknown key 'a\\nb\\x1b\[31m\\ud800'",
    ),
    "endless key": (edit_config(**{"x" * 100_000: 1}), "config.json: unknown key 'xxx.*xxx'; did"),
    "language of many lines": (
        edit_config(directions=[{"source": "en", "target": "d\ne"}]),
        r"config.json: 'directions\.0' has 'd\\ne', which is not a language",
    ),
    "surrogate": (
        edit_config(directions=[{"source": "\ud800", "target": "de"}]),
        r"config.json: 'directions\.0' has '\\ud800', which is not a language",
    ),
    "no language": (
        edit_config(directions=[{"source": "", "target": "de"}]),
        r"config.json: 'directions\.0' has '', which is not a language",
    ),
    "no directions": (edit_config(directions=[]), "'directions' must be at least 1 and at most"),
    "many directions": (
        edit_config(directions=[{"source": "en", "target": "de"}] * 1001),
        "'directions' must be at least 1 and at most 1,000",
    ),
    "wide beam": (edit_search(beam_size=101), "'search.beam_size' must be at most 100 in a model"),
    "short pieces": (
        edit_search(max_source_length=9),
        r"'search.max_source_length' must lie in \[10, 10000\] in a model directory",
    ),
    "long pieces": (edit_search(max_source_length=10**9), "'search.max_source_length' must lie"),
    "endless search": (edit_search(max_length_extra=10**9), "'search.max_length_extra' must be at"),
    "long search": (
        edit_search(beam_size=100, max_length_ratio=10.0),
        r"'search' must have a beam_size \* \(max_length_ratio \* max_source_length \+ .* 20000 in",
    ),
    "shortlist in fp32": (
        edit_config(shortlist=True),
        "config.json: 'shortlist' needs the precision 'int8'",
    ),
    "no checksums": (edit_config(checksums=None), "config.json: 'checksums' is missing"),
    "checksums no table": (edit_config(checksums=[]), "config.json: 'checksums' must be a table"),
    "checksum no text": (
        edit_config(checksums={"tokenizer.model": 1}),
        r"config.json: 'checksums\.tokenizer\.model' must be text",
    ),
    "checksum gone": (edit_config(checksums={}), f"tokenizer.model: {ALTERED}"),
    "language": (
        edit_config(directions=[{"source": "en", "target": "fr"}]),
        "tokenizer.model: .*no tag for .*'fr'",
    ),
    "no weights": (remove("weights.safetensors"), "weights.safetensors: missing"),
    "no tokenizer": (remove("tokenizer.model"), "tokenizer.model: missing"),
    "large tokenizer": (grow("tokenizer.model", 1 << 30), "tokenizer.model: .* bytes, too large"),
    "large weights": (grow("weights.safetensors", 2 << 20), "safetensors: .* bytes, too large"),
    "folder for weights": (make_folder("weights.safetensors"), "weights.safetensors: not a file"),
    "itself": (link("weights.safetensors", "weights.safetensors"), "cannot be read: Too many"),
    "device": (link("weights.safetensors", "/dev/zero"), "weights.safetensors: not a file"),
    "nothing": (link("tokenizer.model", "../nothing"), "tokenizer.model: missing"),
    "a secret": (link("tokenizer.model", "../secret"), f"tokenizer.model: {ALTERED}"),
    "a secret config": (link("config.json", "../secret"), "config.json: damaged"),
    # From here on mostly with checksums that fit, or there would be no more to find out.
    "cut tokenizer": (
        sealed(cut("tokenizer.model", 100)),
        "tokenizer.model: not a SentencePiece model",
    ),
    "cut weights": (sealed(cut("weights.safetensors", 5000)), "weights.safetensors: not a whole"),
    "empty weights": (sealed(cut("weights.safetensors", 0)), "weights.safetensors: not a whole"),
    "weight gone": (
        sealed(edit_weights(output_bias=None)),
        "safetensors: 'output_bias' is missing",
    ),
    "weight too many": (
        sealed(edit_weights(extra=np.zeros(3, np.float32))),
        "safetensors: 'extra' is unknown",
    ),
    "other shape": (
        sealed(edit_weights(**{"decoder.bridge.bias": np.zeros(7, np.float32)})),
        r"safetensors: 'decoder.bridge.bias' has the shape \(7,\), not \(64,\)",
    ),
    "other type": (
        sealed(edit_weights(**{"decoder.bridge.bias": np.zeros(64, np.int8)})),
        "safetensors: 'decoder.bridge.bias' holds int8, not float16 or float32",
    ),
    "foreign type": (
        sealed(edit_tensor("decoder.bridge.bias", dtype="BF16", shape=[128])),
        "safetensors: 'decoder.bridge.bias' holds BF16, which no model has",
    ),
    "type of half a byte": (
        sealed(edit_tensor("decoder.bridge.bias", dtype="F4", shape=[512])),
        "weights.safetensors: ",
    ),
    "huge shape": (
        sealed(edit_tensor("decoder.bridge.bias", shape=[1 << 62, 1 << 62])),
        "weights.safetensors: not a whole safetensors file",
    ),
    "flat shape": (
        sealed(edit_tensor("decoder.bridge.bias", shape=[64] + [1] * 70)),
        "safetensors: 'decoder.bridge.bias' has a shape that cannot be used",
    ),
    "overlap": (
        sealed(edit_tensor("decoder.bridge.bias", data_offsets=[4, 260])),
        "weights.safetensors: not a whole safetensors file",
    ),
    "name of many lines": (
        sealed(edit_header(lambda header: header.update({"a\nb": header.pop("output_bias")}))),
        "weights.safetensors: 'output_bias' is missing",
    ),
    "header too long": (
        sealed(write("weights.safetensors", b"\xff" * 7 + b"\x00" + b"{" * 100)),
        "weights.safetensors: not a whole safetensors file",
    ),
    "not finite": (
        sealed(edit_weights(output_bias=np.full(420, np.nan, np.float32))),
        "weights.safetensors: 'output_bias' holds numbers that are not finite",
    ),
    "more layers": (
        sealed(give("weights.safetensors", encoder_layers=3)),
        "safetensors: 'encoder.layers.2.* is unknown; the weights belong to another model",
    ),
    "other cell": (sealed(give("weights.safetensors", cell="gru")), "safetensors: '.*' is missing"),
    "normaliser": (
        sealed(
            edit_tokenizer(
                lambda data: data + onnx_wire.message(3, onnx_wire.message(2, b"\x04\0\0\0abcd"))
            )
        ),
        "tokenizer.model: not a SentencePiece model",
    ),
    "denormaliser": (
        sealed(
            edit_tokenizer(
                lambda data: data + onnx_wire.message(5, onnx_wire.message(2, b"\x04\0\0\0abcd"))
            )
        ),
        "tokenizer.model: not a SentencePiece model",
    ),
    "long piece": (
        sealed(edit_tokenizer(lambda data: piece(b"a" * 10**6) + data)),
        "tokenizer.model: not a SentencePiece model",
    ),
    "late piece": (
        sealed(edit_tokenizer(lambda data: data + piece(b"a" * 10**6))),
        "tokenizer.model: not a SentencePiece model",
    ),
    "zero byte": (
        sealed(edit_tokenizer(lambda data: piece(b"a\0b") + data)),
        "tokenizer.model: not a SentencePiece model",
    ),
    "half a letter": (
        sealed(edit_tokenizer(lambda data: re.sub(rb"\x0a\x02[a-z]{2}", b"\x0a\x02a\xc3", data))),
        "tokenizer.model: not a SentencePiece model",
    ),
    "score": (
        sealed(edit_tokenizer(lambda data: piece(b"qx", float("nan")) + data)),
        "tokenizer.model: not a SentencePiece model",
    ),
    "no piece": (
        sealed(
            edit_tokenizer(lambda data: onnx_wire.message(1, b"\x0a\x09abc\x15" + bytes(4)) + data)
        ),
        "tokenizer.model: not a SentencePiece model",
    ),
    "empty piece": (
        sealed(edit_tokenizer(lambda data: onnx_wire.message(1, b"") + data)),
        "tokenizer.model: not a SentencePiece model",
    ),
    "piece twice": (
        sealed(edit_tokenizer(lambda data: piece(b"qx") + piece(b"qx") + data)),
        "tokenizer.model: not a SentencePiece model",
    ),
    "other vocabulary": (
        sealed(write("tokenizer.model", tiny.tokenizer(430).model)),
        "safetensors: the weights have a vocabulary of 420, but tokenizer.model has 430",
    ),
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_folder(problem: str, folder: Path) -> None:
    damage, message = BAD[problem]
    (folder.parent / "secret").write_bytes(b"secret")
    damage(folder)
    with pytest.raises(Seq2SeqError, match=message) as raised:
        load_model_dir(folder, threads=1)
    text = str(raised.value)
    assert text.startswith(str(folder))
    assert text.isprintable()
    assert len(text) < 1100
    assert raised.value.exit_code == 1


def shortlist(translations: NDArray[np.integer], frequent: NDArray[np.integer]) -> bytes:
    return save({"translations": translations, "frequent": frequent})


BAD_INT8: dict[str, tuple[Callable[[Path], None], str]] = {
    "no shortlist": (remove("shortlist.safetensors"), "shortlist.safetensors: missing"),
    "foreign shortlist": (
        sealed(write("shortlist.safetensors", b"pickle")),
        "shortlist.safetensors: not a shortlist",
    ),
    "long shortlist": (
        sealed(write("shortlist.safetensors", shortlist(np.zeros((420, 1001), np.uint16), ONE))),
        "shortlist.safetensors: a shortlist of 1,001 translations a piece; 1,000 are the most",
    ),
    "frequent shortlist": (
        sealed(
            write(
                "shortlist.safetensors",
                shortlist(np.zeros((420, 1), np.uint16), np.zeros(10**6, np.uint8)),
            )
        ),
        "shortlist.safetensors: not a shortlist of a vocabulary of 420 pieces",
    ),
    "infinite scale": (
        sealed(edit_weights(**{"embedding.scale": np.full(420, np.inf, np.float32)})),
        "weights.safetensors: 'embedding.scale' holds numbers that are not finite",
    ),
    "no step": (
        sealed(edit_weights(**{"decoder.layers.0.step.1": np.array(0, np.float32)})),
        r"weights.safetensors: 'decoder.layers.0.step.1' is 0\.0, but must be above 0",
    ),
    "fp32": (edit_config(precision="fp32"), "'shortlist' needs the precision 'int8'"),
    "fp32 without": (
        edit_config(precision="fp32", shortlist=False),
        "weights.safetensors: .*; the weights belong to another model",
    ),
}


@pytest.mark.parametrize("problem", BAD_INT8)
def test_bad_folder_in_8_bits(problem: str, exported_int8: Path, tmp_path: Path) -> None:
    damage, message = BAD_INT8[problem]
    folder = Path(shutil.copytree(exported_int8, tmp_path / "model.s2s"))
    damage(folder)
    with pytest.raises(Seq2SeqError, match=message):
        load_model_dir(folder, threads=1)


def test_checksums_of_other_files_are_not_looked_at(folder: Path) -> None:
    before = first_step(folder)
    table = json.loads((folder / "config.json").read_text())
    others = dict.fromkeys(["/etc/passwd", "../secret", "encoder.onnx", ""], "0")
    edit_config(checksums=table["checksums"] | others)(folder)
    assert np.array_equal(first_step(folder), before)


@pytest.mark.parametrize("name", sorted(set(FILES) - {"config.json", "README.md"}))
def test_every_altered_file_is_noticed(name: str, exported_int8: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported_int8, tmp_path / "model.s2s")
    whole = (folder / name).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for altered in (flipped, whole[:-1], whole + b"\0", b""):
        (folder / name).write_bytes(altered)
        with pytest.raises(Seq2SeqError, match=f"{name}: {ALTERED}"):
            load_model_dir(folder, threads=1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    for name in ("weights.safetensors", "config.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(Seq2SeqError, match=f"{name}: not a file"):
            load_model_dir(folder, threads=1)


def test_not_a_folder(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(Seq2SeqError, match="nowhere: not there; a model is a directory"):
        load_model_dir(tmp_path / "nowhere")
    with pytest.raises(Seq2SeqError, match="a file; a model is a directory"):
        load_model_dir(exported / "tokenizer.model")
    with pytest.raises(Seq2SeqError, match="cannot be read: File name too long"):
        load_model_dir(tmp_path / ("x" * 300))
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(Seq2SeqError, match=r"a training run; .* seq2seq export .* -o NAME\.s2s"):
        load_model_dir(tmp_path)
