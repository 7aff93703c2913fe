"""What is written is what is read, and every bad folder is told in one sentence."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
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
from seq2seq.decoding.folder import FILES, load_folder
from seq2seq.decoding.layout import OUTPUT, layout
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.tokenizer import BOS_ID

CONFIG = ModelConfig(hidden_size=16, heads=2)


def export_int8(output: Path, shortlist: bool = True) -> Path:
    """A model in 8 bits, learned from ids drawn at random."""
    model = tiny.network(CONFIG)
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    side = np.random.default_rng(1).integers(4, len(tiny.tokenizer()), (50, 8)).tolist()
    search = SearchConfig(beam_size=3)
    tokenizer = tiny.tokenizer()
    export_folder(
        weights, CONFIG, tokenizer, "en", "de", search, "", output, (side, side), shortlist
    )
    return output


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.export(tiny.network(CONFIG), tmp_path_factory.mktemp("models") / "tiny.s2s")


@pytest.fixture(scope="module")
def exported_int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a shortlist: every file that a model folder can have."""
    return export_int8(tmp_path_factory.mktemp("models") / "int8.s2s")


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "model.s2s"))


def first_step(path: Path) -> NDArray[np.float32]:
    engine = load_folder(path, threads=1).engine
    state = engine.start(np.array([[4, 5, 6]]), np.array([3]))
    return engine.step(state, np.array([BOS_ID])).log_probs


def test_round_trip(exported: Path) -> None:
    shipped = load_folder(exported, threads=1)
    assert {path.name for path in exported.iterdir()} == set(FILES) - {"shortlist.safetensors"}
    assert len({path.stat().st_mode for path in exported.iterdir()}) == 1
    assert shipped.path == exported
    assert shipped.model == CONFIG
    assert shipped.search == SearchConfig(beam_size=3)
    assert (shipped.source_language, shipped.target_language) == ("en", "de")
    assert shipped.tokenizer.model == tiny.tokenizer().model
    assert (exported / "README.md").read_text() == "# Card\n"
    assert json.loads((exported / "config.json").read_text())["format_version"] == 2


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
    assert shapes == {name: shape for name, (_, shape) in layout(config, vocabulary_size).items()}
    assert [name for name, shape in shapes.items() if shape == (vocabulary_size, 16)] == [
        "embedding.weight"
    ]
    for name, weight in stored.items():
        assert weight.dtype == (np.float32 if weight.ndim == 1 else np.float16), name


def test_weights_in_8_bits_are_stored_once(exported_int8: Path) -> None:
    stored = load_file(exported_int8 / "weights.safetensors")
    tensors = layout(CONFIG, len(tiny.tokenizer()), "int8")
    del tensors[OUTPUT]
    expected = {name: (np.dtype(type_), shape) for name, (type_, shape) in tensors.items()}
    assert {name: (weight.dtype, weight.shape) for name, weight in stored.items()} == expected


@pytest.mark.parametrize("graph", ["encoder.onnx", "step.onnx"])
def test_graphs_hold_no_weights(graph: str, exported: Path) -> None:
    onnx.checker.check_model(str(exported / graph), full_check=True)
    model = onnx.load(str(exported / graph), load_external_data=False)
    assert (exported / graph).stat().st_size < 12_000
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


def edit_model(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        model = json.loads((folder / "config.json").read_text())["model"]
        edit_config(model=model | changes)(folder)

    return edit


def sealed(edit: Callable[[Path], None]) -> Callable[[Path], None]:
    """The same with checksums that fit: a model folder by someone who means ill."""

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


def edit_graph(name: str, change: Callable[[onnx.GraphProto], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        model = onnx.load(str(folder / name), load_external_data=False)
        change(model.graph)
        (folder / name).write_bytes(model.SerializeToString())

    return edit


def add_node(operator: str, *inputs: str, domain: str = "") -> Callable[[onnx.GraphProto], None]:
    return lambda graph: graph.node.insert(
        0, onnx.helper.make_node(operator, inputs, ["surplus"], domain=domain)
    )


def retype_output(name: str, type_: int) -> Callable[[onnx.GraphProto], None]:
    def change(graph: onnx.GraphProto) -> None:
        """What was `name` is cast."""
        for node in graph.node:
            node.output[:] = ["before" if output == name else output for output in node.output]
        graph.node.append(onnx.helper.make_node("Cast", ["before"], [name], to=type_))
        next(one for one in graph.output if one.name == name).type.tensor_type.elem_type = type_

    return change


def add_dimension(graph: onnx.GraphProto) -> None:
    graph.input[0].type.tensor_type.shape.dim.add(dim_value=1)
    squeeze = onnx.helper.make_node("Squeeze", [graph.input[0].name, "last"], ["squeezed"])
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), "last"))
    for node in graph.node:
        node.input[:] = ["squeezed" if i == graph.input[0].name else i for i in node.input]
    graph.node.insert(0, squeeze)


def drop_output(name: str) -> Callable[[onnx.GraphProto], None]:
    return lambda graph: graph.output.remove(next(o for o in graph.output if o.name == name))


def read_outside(location: str) -> Callable[[onnx.GraphProto], None]:
    """One more tensor, whose data lie in another file."""

    def change(graph: onnx.GraphProto) -> None:
        tensor = onnx.TensorProto(name="stolen", data_type=onnx.TensorProto.UINT8, dims=[4])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        graph.initializer.append(tensor)
        graph.node.append(onnx.helper.make_node("Identity", ["stolen"], ["surplus"]))

    return change


def huge(graph: onnx.GraphProto) -> None:
    shape = onnx.numpy_helper.from_array(np.array([1 << 60]), "huge")
    graph.initializer.append(shape)
    graph.node.append(onnx.helper.make_node("ConstantOfShape", ["huge"], ["surplus"]))


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def graph_of(graph: str, **changes: Any) -> Callable[[Path], None]:
    """The graph of another model in its place."""

    def put(folder: Path) -> None:
        config = ModelConfig(**{"hidden_size": 16, "heads": 2, **changes})
        other = tiny.export(tiny.network(config), folder.parent / "other.s2s")
        shutil.copy(other / graph, folder / graph)

    return put


ALTERED = "altered: its checksum is not the one in config.json; copy or export the model again"
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (remove("config.json"), "not a model folder: it has no config.json"),
    "not JSON": (cut("config.json", 40), "config.json: damaged"),
    "not UTF-8": (write("config.json", b"\xff\xfe"), "config.json: damaged"),
    "deep JSON": (write("config.json", b"[" * 100_000), "config.json: damaged"),
    "other JSON": (write("config.json", b"[1]"), "config.json: not the config of a model folder"),
    "endless config": (grow("config.json", 5 << 20), "config.json: 5,242,880 bytes, too large"),
    "config a folder": (make_folder("config.json"), "config.json: not a file"),
    "no version": (edit_config(format_version=None), "config.json: .*no format_version"),
    "true version": (edit_config(format_version=True), "config.json: .*no format_version"),
    "newer": (edit_config(format_version=3), "config.json: .*newer than.*upgrade seq2seq"),
    "older": (edit_config(format_version=1), "config.json: .*older than.*export the model again"),
    "unknown key": (edit_config(sarch={}), "config.json: unknown key 'sarch'.*'search'"),
    "missing key": (edit_config(model=None), "config.json: 'model' is missing"),
    "wrong value": (edit_config(model={"cell": "lsmt"}), "config.json: 'model.cell' is 'lsmt'"),
    "wrong type": (edit_config(search=5), "config.json: 'search' must be a table"),
    "absurd depth": (edit_model(encoder_layers=10**9), "'model.encoder_layers' must be at most 64"),
    "absurd width": (edit_model(hidden_size=10**9), "safetensors: '.*' has the shape"),
    "no checksums": (edit_config(checksums=None), "config.json: 'checksums' is missing"),
    "checksums no table": (edit_config(checksums=[]), "config.json: 'checksums' must be a table"),
    "checksum no text": (
        edit_config(checksums={"step.onnx": 1}),
        r"config.json: 'checksums\.step\.onnx' must be text",
    ),
    "checksum gone": (edit_config(checksums={}), f"tokenizer.model: {ALTERED}"),
    "language": (edit_config(target_language="fr"), "tokenizer.model: .*no tag for .*'fr'"),
    "no encoder": (remove("encoder.onnx"), "encoder.onnx: missing"),
    "no step": (remove("step.onnx"), "step.onnx: missing"),
    "no weights": (remove("weights.safetensors"), "weights.safetensors: missing"),
    "no tokenizer": (remove("tokenizer.model"), "tokenizer.model: missing"),
    "no shortlist": (edit_config(shortlist=True), "shortlist.safetensors: missing"),
    "large encoder": (grow("encoder.onnx", 1 << 30), "encoder.onnx: .* bytes, too large"),
    "large tokenizer": (grow("tokenizer.model", 1 << 30), "tokenizer.model: .* bytes, too large"),
    "folder for a step": (make_folder("step.onnx"), "step.onnx: not a file"),
    # From here on mostly with checksums that fit, or there would be no more to find out.
    "cut tokenizer": (
        sealed(cut("tokenizer.model", 100)),
        "tokenizer.model: not a SentencePiece model",
    ),
    "cut encoder": (sealed(cut("encoder.onnx", 1000)), "encoder.onnx: not a graph"),
    "foreign step": (sealed(write("step.onnx", b"pickle")), "step.onnx: not a graph"),
    "foreign shortlist": (
        sealed(
            lambda folder: (
                write("shortlist.safetensors", b"pickle")(folder),
                edit_config(shortlist=True)(folder),
            )[0]
        ),
        "shortlist.safetensors: not a shortlist",
    ),
    "other inputs": (
        sealed(graph_of("step.onnx", attention="none")),
        "step.onnx: the graph has the inputs states, tokens, not ",
    ),
    "other outputs": (
        sealed(edit_graph("step.onnx", drop_output("attention"))),
        "step.onnx: the graph has the outputs log_probs, new_states, not attention, log_probs",
    ),
    "less memory": (
        sealed(graph_of("encoder.onnx", attention="none")),
        "encoder.onnx: the graph has the outputs states, not ",
    ),
    "output type": (
        sealed(edit_graph("step.onnx", retype_output("log_probs", onnx.TensorProto.DOUBLE))),
        r"step.onnx: among the outputs, 'log_probs' is a tensor\(double\) of rank 2, not a ",
    ),
    "input rank": (
        sealed(edit_graph("encoder.onnx", add_dimension)),
        r"encoder.onnx: among the inputs, 'src' is a tensor\(int64\) of rank 3, not .* rank 2",
    ),
    "other cell": (sealed(graph_of("encoder.onnx", cell="gru")), "encoder.onnx and .* do not fit"),
    "other size": (sealed(graph_of("step.onnx", decoder_layers=3)), "step.onnx do not fit"),
    "more layers": (graph_of("encoder.onnx", encoder_layers=3), f"encoder.onnx: {ALTERED}"),
    "unknown operator": (
        sealed(edit_graph("step.onnx", add_node("Run", "tokens", domain="my.own"))),
        "step.onnx: not a graph that ONNX Runtime can run",
    ),
    "file outside": (
        sealed(edit_graph("step.onnx", read_outside("../secret"))),
        "step.onnx: not a graph that ONNX Runtime can run",
    ),
    "file of the system": (
        sealed(edit_graph("step.onnx", read_outside("/etc/hosts"))),
        "step.onnx: not a graph that ONNX Runtime can run",
    ),
    "memory of the process": (
        sealed(edit_graph("step.onnx", read_outside("*/_ORT_MEM_ADDR_/*"))),
        "step.onnx: not a graph that ONNX Runtime can run",
    ),
    "huge constant": (sealed(edit_graph("step.onnx", huge)), "step.onnx do not fit"),
    "cut weights": (sealed(cut("weights.safetensors", 5000)), "weights.safetensors: not a whole"),
    "empty weights": (sealed(cut("weights.safetensors", 0)), "weights.safetensors: not a whole"),
    "weight gone": (
        sealed(edit_weights(output_bias=None)),
        "safetensors: 'output_bias' is missing",
    ),
    "weight too many": (
        sealed(edit_weights(extra=np.zeros(3))),
        "safetensors: 'extra' is unknown",
    ),
    "other shape": (
        sealed(edit_weights(**{"decoder.bridge.bias": np.zeros(7, np.float32)})),
        r"safetensors: 'decoder.bridge.bias' has the shape \(7,\), not \(64,\)",
    ),
    "other type": (
        sealed(edit_weights(**{"decoder.bridge.bias": np.zeros(64, np.int8)})),
        "safetensors: 'decoder.bridge.bias' holds I8",
    ),
    "other vocabulary": (
        sealed(write("tokenizer.model", tiny.tokenizer(330).model)),
        "safetensors: the weights are of a vocabulary of 320, but tokenizer.model has 330",
    ),
}


@pytest.mark.parametrize("problem", BAD)
def test_bad_folder(problem: str, folder: Path) -> None:
    damage, message = BAD[problem]
    (folder.parent / "secret").write_bytes(b"secret")
    damage(folder)
    with pytest.raises(Seq2SeqError, match=message) as raised:
        load_folder(folder, threads=1)
    text = str(raised.value)
    assert text.startswith(str(folder))
    assert "\n" not in text
    assert raised.value.exit_code == 1


@pytest.mark.parametrize("name", sorted(set(FILES) - {"config.json", "README.md"}))
def test_every_altered_file_is_noticed(name: str, exported_int8: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported_int8, tmp_path / "model.s2s")
    whole = (folder / name).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for altered in (flipped, whole[:-1], whole + b"\0", b""):
        (folder / name).write_bytes(altered)
        with pytest.raises(Seq2SeqError, match=f"{name}: {ALTERED}"):
            load_folder(folder, threads=1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    for name in ("weights.safetensors", "config.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(Seq2SeqError, match=f"{name}: not a file"):
            load_folder(folder, threads=1)


def test_not_a_folder(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(Seq2SeqError, match="nowhere: not there; a model is a folder"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(Seq2SeqError, match="a file; a model is a folder"):
        load_folder(exported / "tokenizer.model")
    with pytest.raises(Seq2SeqError, match="cannot be read: File name too long"):
        load_folder(tmp_path / ("x" * 300))
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(Seq2SeqError, match=r"a training run; .* seq2seq export .* -o NAME\.s2s"):
        load_folder(tmp_path)
