"""What is written is what is read, and every bad folder is told in one sentence."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from seq2seq.config import ModelConfig, SearchConfig
from seq2seq.decoding.export import export_folder
from seq2seq.decoding.folder import FILES, load_folder, weight_shapes
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.tokenizer import BOS_ID

CONFIG = ModelConfig(hidden_size=16, heads=2)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.export(tiny.network(CONFIG), tmp_path_factory.mktemp("models") / "tiny.s2s")


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "model.s2s"))


def first_step(path: Path) -> NDArray[np.float32]:
    engine = load_folder(path, threads=1).engine
    state = engine.start(np.array([[4, 5, 6]]), np.array([3]))
    return engine.step(state, np.array([[BOS_ID]])).log_probs


def test_round_trip(exported: Path) -> None:
    shipped = load_folder(exported, threads=1)
    assert {path.name for path in exported.iterdir()} == set(FILES)
    assert len({path.stat().st_mode for path in exported.iterdir()}) == 1
    assert shipped.path == exported
    assert shipped.model == CONFIG
    assert shipped.search == SearchConfig(beam_size=3)
    assert (shipped.source_language, shipped.target_language) == ("en", "de")
    assert shipped.tokenizer.model == tiny.tokenizer().model
    assert (exported / "README.md").read_text() == "# Card\n"
    assert json.loads((exported / "config.json").read_text())["format_version"] == 1


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weights_are_stored_once(cell: Any, tmp_path: Path) -> None:
    config = ModelConfig(cell, hidden_size=16, heads=2)
    path = tiny.export(tiny.network(config), tmp_path / "m.s2s")
    stored = load_file(path / "weights.safetensors")
    vocabulary_size = len(tiny.tokenizer())
    shapes = {name: weight.shape for name, weight in stored.items()}
    assert shapes == weight_shapes(config, vocabulary_size)
    assert [name for name, shape in shapes.items() if shape == (vocabulary_size, 16)] == [
        "embedding.weight"
    ]
    for name, weight in stored.items():
        vector = weight.ndim == 1 or name.endswith("bias")
        assert weight.dtype == (np.float32 if vector else np.float16), name


@pytest.mark.parametrize("graph", ["encoder.onnx", "step.onnx"])
def test_graphs_hold_no_weights(graph: str, exported: Path) -> None:
    onnx.checker.check_model(str(exported / graph), full_check=True)
    model = onnx.load(str(exported / graph), load_external_data=False)
    assert (exported / graph).stat().st_size < 8_000
    for tensor in model.graph.initializer:
        outside = tensor.data_location == onnx.TensorProto.EXTERNAL
        assert outside or np.prod(tensor.dims) <= 8, tensor.name


def test_loading_imports_neither_torch_nor_onnx(exported: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from seq2seq.decoding.folder import load_folder; "
        f"load_folder(Path({str(exported)!r}), threads=1); "
        "print(*{'torch', 'onnx', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_export_replaces_an_older_model(folder: Path) -> None:
    before = first_step(folder)
    tiny.export(tiny.network(CONFIG, seed=2), folder)
    assert not np.array_equal(first_step(folder), before)
    assert [path.name for path in folder.parent.iterdir()] == ["model.s2s"]


def test_export_into_an_empty_folder_and_past_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "m.s2s").mkdir()
    (tmp_path / "m.s2s.partial").mkdir()
    (tmp_path / "m.s2s.partial" / "weights.safetensors").write_text("killed here")
    first_step(tiny.export(tiny.network(CONFIG), tmp_path / "m.s2s"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.s2s"]


def test_export_leaves_other_things_alone(tmp_path: Path) -> None:
    model = tiny.network(CONFIG)
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "config.json").write_text("{}")
    (thesis / "chapter.tex").write_text("text")
    with pytest.raises(UsageError, match="thesis: a folder that is not a model is in the way"):
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
        export_folder(weights, CONFIG, tokenizer, "en", "de", SearchConfig(), "", output)

    with pytest.raises(Seq2SeqError, match="a tokenizer of 330 pieces"):
        export(weights, 330)
    with pytest.raises(Seq2SeqError, match="weight' is not finite in 16 bits"):
        export(weights | {"decoder.project.weight": np.full((16, 32), 1e6, np.float32)}, 320)
    assert not list(tmp_path.iterdir())


def test_export_names_the_extra_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.network(CONFIG)
    monkeypatch.delitem(sys.modules, "seq2seq.decoding.graphs")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'seq2seq\[train\]'"):
        tiny.export(model, tmp_path / "m.s2s")


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        table = json.loads((folder / "config.json").read_text()) | changes
        table = {key: value for key, value in table.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(table))

    return edit


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


def cut(name: str, size: int) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return edit


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def graph_of(graph: str, **changes: Any) -> Callable[[Path], None]:
    """The graph of another model in its place."""

    def put(folder: Path) -> None:
        config = ModelConfig(**{"hidden_size": 16, "heads": 2, **changes})
        other = tiny.export(tiny.network(config), folder.parent / "other.s2s")
        shutil.copy(other / graph, folder / graph)

    return put


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (remove("config.json"), "not a model folder: it has no config.json"),
    "not JSON": (cut("config.json", 40), "config.json: damaged"),
    "not UTF-8": (write("config.json", b"\xff\xfe"), "config.json: damaged"),
    "deep JSON": (write("config.json", b"[" * 100_000), "config.json: damaged"),
    "other JSON": (write("config.json", b"[1]"), "config.json: not the config of a model folder"),
    "no version": (edit_config(format_version=None), "config.json: .*no format_version"),
    "newer": (edit_config(format_version=2), "config.json: .*newer than.*upgrade seq2seq"),
    "version 0": (edit_config(format_version=0), "config.json: there is no format version 0"),
    "unknown key": (edit_config(sarch={}), "config.json: unknown key 'sarch'.*'search'"),
    "missing key": (edit_config(model=None), "config.json: 'model' is missing"),
    "wrong value": (edit_config(model={"cell": "lsmt"}), "config.json: 'model.cell' is 'lsmt'"),
    "wrong type": (edit_config(search=5), "config.json: 'search' must be a table"),
    "language": (edit_config(target_language="fr"), "tokenizer.model: .*no tag for .*'fr'"),
    "no encoder": (remove("encoder.onnx"), "encoder.onnx: missing"),
    "no step": (remove("step.onnx"), "step.onnx: missing"),
    "no weights": (remove("weights.safetensors"), "weights.safetensors: missing"),
    "no tokenizer": (remove("tokenizer.model"), "tokenizer.model: missing"),
    "cut tokenizer": (cut("tokenizer.model", 100), "tokenizer.model: not a SentencePiece model"),
    "cut encoder": (cut("encoder.onnx", 1000), "encoder.onnx: not a graph"),
    "foreign step": (write("step.onnx", b"pickle"), "step.onnx: not a graph"),
    "other inputs": (
        graph_of("step.onnx", attention="none"),
        "step.onnx: the graph has the inputs",
    ),
    "other cell": (graph_of("encoder.onnx", cell="gru"), "encoder.onnx and .* do not fit"),
    "other size": (graph_of("step.onnx", decoder_layers=3), "step.onnx do not fit"),
    "cut weights": (cut("weights.safetensors", 5000), "weights.safetensors: not a whole"),
    "empty weights": (cut("weights.safetensors", 0), "weights.safetensors: not a whole"),
    "weight gone": (edit_weights(output_bias=None), "safetensors: 'output_bias' is missing"),
    "weight too many": (edit_weights(extra=np.zeros(3)), "safetensors: 'extra' is unknown"),
    "other shape": (
        edit_weights(**{"decoder.bridge.bias": np.zeros(7, np.float32)}),
        r"safetensors: 'decoder.bridge.bias' has the shape \(7,\), not \(64,\)",
    ),
    "other type": (
        edit_weights(**{"decoder.bridge.bias": np.zeros(64, np.int8)}),
        "safetensors: 'decoder.bridge.bias' holds I8",
    ),
    "other vocabulary": (
        write("tokenizer.model", tiny.tokenizer(330).model),
        "safetensors: the weights are of a vocabulary of 320, but tokenizer.model has 330",
    ),
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_folder(problem: str, folder: Path) -> None:
    damage, message = BAD[problem]
    damage(folder)
    with pytest.raises(Seq2SeqError, match=message) as raised:
        load_folder(folder, threads=1)
    text = str(raised.value)
    assert text.startswith(str(folder))
    assert "\n" not in text
    assert raised.value.exit_code == 1


def test_not_a_folder(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(Seq2SeqError, match="nowhere: not there; a model is a folder"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(Seq2SeqError, match="a file; a model is a folder"):
        load_folder(exported / "tokenizer.model")
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(Seq2SeqError, match=r"a training run; .* seq2seq export .* -o NAME\.s2s"):
        load_folder(tmp_path)
