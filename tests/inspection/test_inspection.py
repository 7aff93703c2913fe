"""Looking inside shows what the model computes: the same numbers as torch and the engine."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny import EN_DE, corpus, export, network
from rich.console import Console

from seq2seq.bundled import DEFAULT_MODEL
from seq2seq.config.model_config import Attention, Cell, ModelConfig, SearchConfig
from seq2seq.config.recipe import Recipe
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.inspection import activations
from seq2seq.inspection.loading import InspectedModel, open_model
from seq2seq.inspection.neurons import (
    COUNTS,
    Pair,
    SelectiveUnit,
    _examples,
    properties,
    read_pairs,
    selective_units,
)
from seq2seq.inspection.numpy_model import Decoded, Encoded, Network
from seq2seq.inspection.search_tree import SearchTree, search_tree
from seq2seq.nn.cells import BUILT_IN_CELLS, Weights, gru_step, lstm_step, rnn_step
from seq2seq.nn.model import EncoderDecoder
from seq2seq.search.beam import Hypothesis, length_penalty, longest_length
from seq2seq.search.engine_protocol import Ints
from seq2seq.training.exporter import export_run
from seq2seq.training.reporter import ProgressReporter
from seq2seq.training.trainer import train

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "test.en"
CELLS: list[Cell] = ["lstm", "gru", "rnn"]
SENTENCE = "abc de fgh."
TARGET = (30, 41, 52, 63)


def config(cell: Cell, attention: Attention = "multihead") -> ModelConfig:
    return ModelConfig(cell, attention, hidden_size=16, encoder_layers=2, decoder_layers=2, heads=4)


@pytest.mark.parametrize("attention", ["dot", "additive", "multihead"])
@pytest.mark.parametrize("input_feeding", [False, True])
def test_the_network_of_a_run_that_cannot_be_exported_is_that_of_torch(
    attention: Attention, input_feeding: bool
) -> None:
    shape = dataclasses.replace(config("gru", attention), input_feeding=input_feeding)
    model = network(shape).double()
    state = {name: weight.numpy() for name, weight in model.state_dict().items()}
    ours = Network(shape, state)
    ids = (5, 40, 50, 60)
    decoded = ours.decode(ours.encode(ids), TARGET)
    with torch.no_grad():
        memory, states = model.encode(torch.tensor([ids]), torch.tensor([len(ids)]))
        expected = model.decoder(model._embed(torch.tensor([[1, *TARGET]])), memory, states)
        readout = model.decoder.readout(expected.features)
    assert expected.weights is not None
    assert decoded.attention is not None
    np.testing.assert_allclose(decoded.attention.swapaxes(0, 1), expected.weights[0], atol=1e-6)
    np.testing.assert_allclose(decoded.readout, readout[0], atol=1e-6)
    for trace, last in zip(decoded.layers, expected.states, strict=False):
        assert len(trace.hidden) == len(TARGET) + 1
        np.testing.assert_allclose(trace.hidden[-1], last[0][0], atol=1e-6)


@pytest.fixture(scope="module", params=CELLS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[EncoderDecoder, InspectedModel]:
    """A torch model in float64, and the fp32 folder of the same weights, opened."""
    model = network(config(request.param))
    folder = export(model, tmp_path_factory.mktemp("models") / "m.s2s")
    return model.double(), open_model(folder)


def look(model: InspectedModel) -> tuple[tuple[int, ...], Encoded, Decoded]:
    ids = model.read(SENTENCE, EN_DE)
    encoded = model.network.encode(ids)
    return ids, encoded, model.network.decode(encoded, TARGET)


def test_hidden_states_and_attention_are_those_of_torch(
    pair: tuple[EncoderDecoder, InspectedModel],
) -> None:
    model, opened = pair
    ids, encoded, decoded = look(opened)
    with torch.no_grad():
        source, lengths = torch.tensor([ids]), torch.tensor([len(ids)])
        embedded = model.embedding(source) * model.config.embedding_scale
        memory, states = model.encode(source, lengths)
        output, _ = model.encoder(embedded, lengths)
        target = model.embedding(torch.tensor([[1, *TARGET]])) * model.config.embedding_scale
        expected = model.decoder(target, memory, states)
        logits = model.logits(model.decoder.readout(expected.features))
    assert expected.weights is not None
    np.testing.assert_allclose(encoded.memory, output[0].numpy(), atol=1e-6)
    for ours, theirs in zip(encoded.states, states, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other[0].numpy(), atol=1e-6)
    for trace, last in zip(decoded.layers, expected.states, strict=True):
        for ours_last, theirs_last in zip(trace, last, strict=False):
            np.testing.assert_allclose(ours_last[-1], theirs_last[0].numpy(), atol=1e-6)
    assert decoded.attention is not None
    weights = expected.weights[0].transpose(0, 1).numpy()  # (T, G, S)
    np.testing.assert_allclose(decoded.attention, weights, atol=1e-6)
    np.testing.assert_allclose(opened.network.logits(decoded.readout), logits[0].numpy(), atol=1e-6)


def test_gates_are_those_of_the_cells_in_torch(pair: tuple[EncoderDecoder, InspectedModel]) -> None:
    """The first layers, whose input is the embedding, one step after the other in float64."""
    model, opened = pair
    ids, encoded, decoded = look(opened)
    with torch.no_grad():
        _, states = model.encode(torch.tensor([ids]), torch.tensor([len(ids)]))
    half = model.config.hidden_size // 2
    zeros = [torch.zeros(1, half, dtype=torch.float64)] * len(states[0])
    forwards, backwards = encoded.layers[0]
    for layer, read, first, trace in (
        ("encoder.layers.0.forwards", ids, zeros, forwards),
        ("encoder.layers.0.backwards", ids[::-1], zeros, [part[::-1] for part in backwards]),
        ("decoder.layers.0", (1, *TARGET), list(states[0]), decoded.layers[0]),
    ):
        for name, ours, theirs in zip(
            type(forwards)._fields, trace, torch_steps(model, layer, read, first), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=f"{layer} {name}")


def torch_steps(
    model: EncoderDecoder, layer: str, ids: tuple[int, ...], state: list[torch.Tensor]
) -> list[Any]:
    """Each field of a cell's steps, (T, H)."""
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = Weights(*(model.state_dict()[f"{layer}.fused.{part}_l0"] for part in parts))
    steps = []
    for id_ in ids:
        x = model.embedding.weight[id_].detach()[None] * model.config.embedding_scale
        step: Any
        if model.config.cell == "lstm":
            step = lstm_step(x, state[0], state[1], weights)
        else:
            step = (gru_step if model.config.cell == "gru" else rnn_step)(x, state[0], weights)
        state = list(step[: len(state)])
        steps.append(step)
    return [torch.cat(field).numpy() for field in zip(*steps, strict=True)]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shortlist", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_is_shown_of_8_bits_is_what_the_engine_computes(
    cell: Cell, shortlist: bool, tmp_path: Path
) -> None:
    opened = open_model(export(network(config(cell)), tmp_path / "m.s2s", True, shortlist))
    assert_like_the_engine(opened)


@pytest.mark.slow
def test_the_shipped_model_is_shown_nearly_as_the_engine_computes_it() -> None:
    """In 8 bits a last bit may decide which way a number is rounded, see `reference`."""
    opened = open_model(DEFAULT_MODEL)
    way = opened.between("en", "de")
    apart: list[tuple[float, float, float]] = []  # states, attention, log-probabilities
    for sentence in SAMPLE.read_text(encoding="utf-8").splitlines()[:30]:
        ids = opened.read(sentence, way)
        [best] = opened.translate([ids])
        apart += differences_of_steps(opened, ids, best.ids)
    found = np.array(apart)
    assert (np.median(found, axis=0) < 1e-5).all()
    assert (found.max(axis=0) < (0.2, 0.02, 0.6)).all()
    assert (found[:, 0] > 1e-3).mean() < 0.1


@pytest.mark.parametrize("folder", ["fp32", "int8"])
def test_older_models_are_shown_as_the_engine_computes_them(folder: str) -> None:
    assert_like_the_engine(open_model(GOLDEN / folder))


def assert_like_the_engine(opened: InspectedModel) -> None:
    ids = opened.read(SENTENCE, EN_DE)
    found = np.array(differences_of_steps(opened, ids, TARGET))
    assert (found.max(axis=0) < (1e-5, 1e-5, 1e-4)).all()


def differences_of_steps(
    opened: InspectedModel, ids: Sequence[int], target: Sequence[int]
) -> list[tuple[float, float, float]]:
    """How far states, attention and log-probabilities are from the engine's, at each step."""
    decoded = opened.network.decode(opened.network.encode(ids), target)
    state = opened.engine.encode(np.array([ids]), np.array([len(ids)]))
    parts = 2 if opened.network.config.cell == "lstm" else 1
    assert decoded.attention is not None
    found = []
    for t, token in enumerate([1, *target]):
        step = opened.engine.decode_step(state, np.array([token]))
        state = step.state
        ours = np.concatenate([part[t] for trace in decoded.layers for part in trace[:parts]])
        attention = decoded.attention[t].mean(axis=0)
        candidates: Ints = np.arange(len(opened.tokenizer))
        if step.candidates is not None:
            candidates = step.candidates[0]
        real = np.isfinite(step.log_probs[0])
        logits = opened.network.logits(decoded.readout[t])[candidates][real]
        log_probs = logits - np.log(np.exp(logits).sum())
        pairs = (
            (ours, state.states[0]),
            (attention, step.attention[0]),
            (log_probs, step.log_probs[0][real]),
        )
        states, weights, scores = (float(abs(one - other).max()) for one, other in pairs)
        found.append((states, weights, scores))
    return found


def test_rows_of_attention_sum_to_1(pair: tuple[EncoderDecoder, InspectedModel]) -> None:
    _, opened = pair
    seen = activations.attention(opened, SENTENCE, EN_DE)
    assert seen.weights.shape == (4, len(seen.target), len(seen.source))
    assert seen.target[-1] == "</s>"
    table = json.loads(json.dumps(seen.to_json()))
    for rows in (*table["weights"], table["mean"]):
        np.testing.assert_allclose(np.sum(rows, axis=1), 1)
    one = seen.of_heads([3])
    np.testing.assert_array_equal(one.mean, seen.weights[2])
    with pytest.raises(UsageError, match=r"^there is no head 5; the model has 4\.$"):
        seen.of_heads([5])


def test_attention_is_that_of_the_translation(pair: tuple[EncoderDecoder, InspectedModel]) -> None:
    _, opened = pair
    seen = activations.attention(opened, SENTENCE, EN_DE)
    ids = opened.read(SENTENCE, EN_DE)
    [best] = opened.translate([ids])
    np.testing.assert_allclose(seen.mean[:-1], best.attention, atol=1e-5)


def test_a_model_without_attention_has_gates_alone(tmp_path: Path) -> None:
    opened = open_model(export(network(config("gru", "none")), tmp_path / "m.s2s"))
    with pytest.raises(Seq2SeqError, match="the model has no attention"):
        activations.attention(opened, SENTENCE, EN_DE)
    wanted = activations.places(opened.network.config, "decoder.2", gate="reset")
    [panel] = activations.gates(opened, SENTENCE, EN_DE, wanted).panels
    assert ((panel.values > 0) & (panel.values < 1)).all()


def test_gates_have_a_panel_for_each_place(pair: tuple[EncoderDecoder, InspectedModel]) -> None:
    _, opened = pair
    wanted = activations.places(opened.network.config)
    names = BUILT_IN_CELLS[opened.network.config.cell].shown
    assert len(wanted) == (2 * 2 + 2) * len(names)
    seen = activations.gates(opened, SENTENCE, EN_DE, wanted)
    table = json.loads(json.dumps(seen.to_json()))
    for panel, row in zip(seen.panels, table["panels"], strict=True):
        assert panel.values.shape[0] == len(seen.tokens(panel.place))
        assert sorted(panel.order) == list(range(panel.values.shape[1]))
        np.testing.assert_array_equal(row["values"], panel.values)


def test_places_are_chosen_by_name() -> None:
    model = config("lstm")
    [place] = activations.places(model, "encoder.2", "backwards", "input")
    assert str(place) == "encoder 2 backwards, update"
    assert len(activations.places(model, gate="hidden")) == 6
    wrongs: list[dict[str, Any]] = [{"layer": "encoder.3"}, {"gate": "reset"}, {"direction": "up"}]
    for wrong in wrongs:
        with pytest.raises(UsageError, match=r"^there is no .* here; there is .*, .*\.$"):
            activations.places(model, **wrong)
    with pytest.raises(UsageError, match="no direction 'backwards' here; there is forwards"):
        activations.places(model, "decoder.1", "backwards")


@pytest.mark.parametrize("sentence", ["", " \n", "abc " * 200])
def test_a_sentence_must_fit_the_model(
    pair: tuple[EncoderDecoder, InspectedModel], sentence: str
) -> None:
    with pytest.raises(UsageError, match=r"^the sentence is (empty|too long: .* subwords)"):
        pair[1].read(sentence, EN_DE)


def test_a_sentence_is_read_as_translate_reads_it() -> None:
    opened = open_model(DEFAULT_MODEL)
    way = opened.between("en", "de")
    assert opened.read("WHERE ARE YOU?", way) == opened.read("Where are you?", way)
    assert opened.read("caf\udce9", way) == opened.read("caf\ufffd", way)
    told = {
        "Where are you?": [],
        "WHERE ARE YOU?": ["put the capitals back"],
        "I am here. Where are you?": ["translate these 2 parts apart; here they are read as one"],
        "See www.example.org.": [
            "carry www.example.org through unchanged; here it is read like other text"
        ],
        "1 + 1 = 2": ["leave this as it is, since it has no letter"],
    }
    for sentence, differences in told.items():
        assert [*opened.differences(sentence, way)] == differences


def test_a_loop_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_model(DEFAULT_MODEL)
    looping = [Hypothesis((30, 31) * 9, 0.0, 0.0, np.zeros((18, 5), np.float32))]
    monkeypatch.setattr(InspectedModel, "translate", lambda self, sources: looping)
    [told] = opened.differences("Where are you?", opened.between("en", "de"))
    assert told == "search again, since this translation repeats itself"


@pytest.mark.slow
@pytest.mark.parametrize("beam_size", [1, 2, 5])
@pytest.mark.parametrize("prune", [None, 0.5, 3.0])
@pytest.mark.parametrize("name", ["fp32", "int8"])
def test_the_tree_is_that_of_the_search(name: str, beam_size: int, prune: float | None) -> None:
    opened = open_model(GOLDEN / name)
    search = opened.search.changed(beam_size=beam_size, prune=prune)
    for sentence in ("the dog sees the mouse", "the cat", "a b c d e f"):
        tree = search_tree(opened, sentence, EN_DE, search=search, dropped=1000)
        ids = opened.read(sentence, EN_DE)
        [best] = dataclasses.replace(opened, search=search).translate([ids])
        path = [node for node in tree.nodes if node.best]
        assert [node.token for node in path] == opened.tokenizer.pieces([*best.ids, 2])
        assert path[-1].total == best.log_prob
        assert path[-1].score == best.score == tree.score
        assert_by_the_rules(tree, search)


def assert_by_the_rules(tree: SearchTree, search: SearchConfig) -> None:
    """What is said of each hypothesis fits the rules, and the sums of its branch."""
    totals = {None: 0.0} | {node.number: node.total for node in tree.nodes}
    places, floor = search.beam_size, -np.inf
    penalty = length_penalty(longest_length(len(tree.source), search), search.length_penalty)
    for step in range(1, max(node.step for node in tree.nodes) + 1):
        nodes = [node for node in tree.nodes if node.step == step]
        assert [node.total for node in nodes] == sorted((one.total for one in nodes), reverse=True)
        leader = max((n.total for n in nodes[:places] if n.outcome != "finished"), default=-np.inf)
        finished = 0
        scores = [node.score for node in nodes if node.score is not None]
        floor = max([floor, *(score * penalty for score in scores)])
        for rank, node in enumerate(nodes):
            assert node.total == pytest.approx(totals[node.parent] + node.log_prob)
            within = rank < places
            assert (node.outcome == "outside") == (not within)
            assert (node.outcome == "finished") == (node.score is not None)
            if node.outcome == "finished":
                assert node.token == "</s>"
                finished += 1
            if node.outcome == "pruned":
                assert search.prune is not None
                assert node.total > floor
                assert node.total < leader - search.prune
            if node.outcome == "beaten":
                assert node.total <= floor
            if node.outcome == "kept":
                assert node.total > floor
                assert search.prune is None or node.total >= leader - search.prune
                assert node.token != "</s>"
        places -= finished
    assert sum(node.outcome == "finished" for node in tree.nodes) <= search.beam_size


def test_fewer_dropped_ones_change_nothing_else() -> None:
    opened = open_model(GOLDEN / "int8")
    some, none = (search_tree(opened, "the dog", EN_DE, dropped=number) for number in (2, 0))
    outcomes = ("kept", "finished")
    expected = [(one.step, one.token, one.total) for one in some.nodes if one.outcome in outcomes]
    assert [(one.step, one.token, one.total) for one in none.nodes] == expected
    assert json.loads(json.dumps(some.to_json()))["nodes"][0]["parent"] is None


def test_properties_are_of_words_and_not_of_pieces() -> None:
    tokens = ["▁Is", "n", "'", "t", "▁it", "▁no", "isy", "?", "▁No", ",", "▁2", "5", "."]
    found = properties(tokens, "en")
    assert found["negation"].tolist() == [1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert found["capital letter"].tolist() == [1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert found["number"].tolist() == [0] * 10 + [1, 1, 0]
    assert found["question mark"].tolist() == [0] * 7 + [1] + [0] * 5
    assert found["full stop"].tolist() == [0] * 12 + [1]
    assert found["token inside a word"].tolist() == [0, 1, 0, 1, 0, 0, 1] + [0] * 6
    assert found["tokens to come"].tolist() == list(range(12, -1, -1))
    assert "negation" not in properties(tokens, "xx")


@pytest.mark.parametrize(
    ("gate", "kind", "score", "says"),
    [
        ("forget", "comma", 0.7, "opens at a comma"),
        ("forget", "comma", -0.7, "closes at a comma"),
        ("hidden", "comma", 0.7, "rises at a comma"),
        ("hidden", "comma", -0.7, "falls at a comma"),
        ("hidden", COUNTS[0], 0.7, "grows with the tokens so far"),
        ("forget", COUNTS[0], -0.7, "shrinks with the tokens so far"),
    ],
)
def test_what_a_unit_does_is_said_by_its_sign(
    gate: str, kind: str, score: float, says: str
) -> None:
    place = activations.Place("encoder", 1, "forwards", gate, gate == "forget")
    assert str(unit_of(place, kind, score)).endswith(f", unit 3: {says}")


def test_a_unit_whose_sign_differs_on_the_other_half_is_not_named(
    pair: tuple[EncoderDecoder, InspectedModel],
) -> None:
    _, opened = pair
    pairs = [Pair(tuple(ids), tuple(out)) for ids, out in zip(*corpus(100), strict=True)]
    wanted = activations.places(opened.network.config)
    named = selective_units(opened, pairs, EN_DE, wanted, per_property=9, least=0)
    assert named.units
    assert all(unit.score * unit.found_score >= 0 for unit in named.units)
    evidence = selective_units(opened, pairs, EN_DE, wanted, per_property=9, least=-1)
    assert any(unit.score * unit.found_score < 0 for unit in evidence.units)


def unit_of(place: activations.Place, kind: str, score: float) -> SelectiveUnit:
    return SelectiveUnit(place, 3, kind, score, score, 0.9, 0.1, 30, 30, (), ())


def test_a_token_that_is_a_byte_has_the_properties_of_what_it_spells() -> None:
    """`don't`, `48`, `É`, and a dog, written in part by bytes."""
    bytes_of_e = ["<0xC3>", "<0x89>"]
    tokens = ["▁don", "<0x27>", "t", "▁", "<0x34>", "<0x38>", "▁", *bytes_of_e, "▁dog", "<0x3F>"]
    found = properties(tokens, "en")
    assert found["number"].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    assert found["negation"].tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert found["capital letter"].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert found["question mark"].tolist() == [0] * 10 + [1]


@pytest.mark.slow
def test_scores_of_units_are_from_the_half_they_were_not_found_on(
    pair: tuple[EncoderDecoder, InspectedModel],
) -> None:
    _, opened = pair
    pairs = [
        Pair(tuple(source), tuple(target)) for source, target in zip(*corpus(300), strict=True)
    ]
    wanted = activations.places(opened.network.config)
    named = selective_units(opened, pairs, EN_DE, wanted, per_property=2, least=-1)
    units = named.units
    assert named.unnamed["question mark"] == "too few tokens"
    assert len(units) == 2 * len({unit.property for unit in units})
    assert {"tokens so far", "tokens to come", "token inside a word"} <= {
        unit.property for unit in units
    }
    for unit in units:
        values, held = observed(opened, pairs[1::2], unit)
        if unit.property in COUNTS:
            continue
        with_it, without = values[held == 1], values[held == 0]
        wins = np.sign(with_it[:, None] - without[None, :]).mean()  # 2 AUC - 1, by its definition
        assert unit.score == pytest.approx(wins, abs=1e-6)
        assert unit.mean_with == pytest.approx(with_it.mean(), abs=1e-6)
        assert (unit.tokens_with, unit.tokens_without) == (len(with_it), len(without))
    for unit in (unit for unit in units if unit.property in COUNTS):
        values, held = observed(opened, pairs[1::2], unit)
        correlation = np.corrcoef(mean_ranks(values), mean_ranks(held))[0, 1]
        assert unit.score == pytest.approx(correlation, abs=1e-6)
        values = values[held >= np.quantile(held, 0.75)]
        strongest = values.max() if unit.score > 0 else values.min()
        assert unit.examples[0].value == pytest.approx(strongest, abs=1e-6)
    json.dumps(named.to_json())


def test_units_are_named_by_their_own_evidence() -> None:
    """Of the model that ships, on text with full stops, few tokens of other kinds, and spaces."""
    opened = open_model(DEFAULT_MODEL)
    way = opened.between("en", "de")
    sentences = [f"The {one} sleeps ." for one in ("dog", "cat", "mouse", "bird", "child")] * 10
    sources = opened.tokenizer.encode_sources(sentences, way.target)
    pairs = [Pair(tuple(source), ()) for source in sources]
    wanted = activations.places(opened.network.config, "encoder.2", gate="cell")
    named = selective_units(opened, pairs, way, wanted)
    assert named.unnamed["negation"] == named.unnamed["comma"] == "too few tokens"
    [stop] = [unit for unit in named.units if unit.property == "full stop"]
    assert all("[.]" in example.text for example in stop.examples)
    assert not any("[.]" in example.text for example in stop.counterexamples)
    assert stop.counterexamples
    assert all(unit.score * np.sign(unit.found_score) >= 0.5 for unit in named.units)
    high = selective_units(opened, pairs, way, wanted, least=1.01)
    assert not high.units
    assert high.unnamed["full stop"].startswith("no unit has a score of 1.01")
    few = selective_units(opened, pairs[:4], way, wanted)
    assert set(few.unnamed.values()) == {"too few tokens"}


def test_a_space_alone_has_a_name() -> None:
    [example] = _examples([("▁a", "▁", "b")], np.zeros(3), np.array([1]))
    assert example.text == "a [space]b"


def observed(
    opened: InspectedModel, pairs: list[Pair], unit: SelectiveUnit
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """What the unit did at each token, and the property of each token."""
    values, held = [], []
    for source, target in pairs:
        encoded = opened.network.encode(source)
        decoded = opened.network.decode(encoded, target)
        [at_place] = activations.values_at([unit.place], encoded, decoded)
        values.append(at_place[1:, unit.unit])
        ids, language = (source[1:], "en") if unit.place.part == "encoder" else (target, "de")
        held.append(properties(opened.tokenizer.pieces(ids), language)[unit.property])
    return np.concatenate(values).astype(np.float32), np.concatenate(held)


def mean_ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    ranks: np.ndarray[Any, Any] = below + equal / 2
    return ranks


def test_a_corpus_of_pairs_can_be_a_catalogue(tmp_path: Path) -> None:
    file = tmp_path / "pairs.po"
    words = [("the dog", "der Hund"), ("the cat", "die Katze")]
    entries = (f'msgid "{source}"\nmsgstr "{target}"\n' for source, target in words)
    file.write_text("\n".join(entries), encoding="utf-8")
    opened = open_model(GOLDEN / "int8")
    pairs = read_pairs(opened, str(file), EN_DE, most=4)
    targets = opened.tokenizer.encode([target for _, target in words])
    assert [pair.target for pair in pairs] == [tuple(ids) for ids in targets]


@pytest.mark.parametrize("name", ["pairs.tsv", "sources.txt"])
def test_a_corpus_of_pairs_or_of_sources(name: str, tmp_path: Path) -> None:
    opened = open_model(GOLDEN / "int8")
    lines = ["the dog sees the cat\tder Hund sieht die Katze"] * 5 + ["\t"]
    if name == "sources.txt":
        lines = [line.split("\t")[0] for line in lines]
    file = tmp_path / name
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    pairs = read_pairs(opened, str(file), EN_DE, most=4)
    assert 2 <= len(pairs) <= 4
    assert all(pair.source == pairs[0].source and pair.target for pair in pairs)
    bare = read_pairs(opened, str(file), EN_DE, most=4, with_targets=False)
    assert [pair.source for pair in bare] == [pair.source for pair in pairs]
    file.write_text("the dog\tder Hund\n", encoding="utf-8")
    with pytest.raises(Seq2SeqError, match="fewer than two sentences"):
        read_pairs(opened, str(file), EN_DE, most=4)


def test_a_run_looks_like_the_model_that_is_exported_from_it(
    recipe: Recipe, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, epochs=1))
    run, folder = tmp_path / "run", tmp_path / "m.s2s"
    train(recipe, run, ProgressReporter(Console(quiet=True), None, quiet=True))
    export_run(run, folder, precision="fp32")
    ours, theirs = (
        activations.attention(open_model(path), "ka lo mi", EN_DE) for path in (run, folder)
    )
    assert (ours.source, ours.target) == (theirs.source, theirs.target)
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-3)  # exported in 16 bits
