"""The network: nothing leaks from padding, and one step at a time computes what a sequence does."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from seq2seq.config.model_config import Attention, Cell, ModelConfig
from seq2seq.corpus.batches import make_batch
from seq2seq.errors import UsageError
from seq2seq.nn.attention import AdditiveAttention, DotAttention, Memory, MultiHeadAttention
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.encoder import BidirectionalLayer
from seq2seq.nn.model import EncoderDecoder
from seq2seq.nn.recurrent import RecurrentLayer, reverse_rows
from seq2seq.tokenizer import BOS_ID, EOS_ID, PAD_ID
from seq2seq.training.optimizer_step import forward

V, H, G = 30, 8, 2
CELLS: tuple[Cell, ...] = get_args(Cell)
KINDS: list[tuple[Cell, Attention]] = list(product(CELLS, get_args(Attention)))

SOURCES = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16]]
TARGETS = [[7, 6], [8, 9, 10, 11, 12], [5], []]

every_kind = pytest.mark.parametrize(("cell", "attention"), KINDS)


def make_model(cell: Cell = "lstm", attention: Attention = "multihead") -> EncoderDecoder:
    """A small model in which every bias matters."""
    config = ModelConfig(cell, attention, H, encoder_layers=2, decoder_layers=3, heads=G)
    torch.manual_seed(1)
    model = EncoderDecoder(config, V).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def padded(sources: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """-> (B, S), lengths (B,)"""
    rows = [torch.tensor(source) for source in sources]
    lengths = torch.tensor([len(source) for source in sources])
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD_ID), lengths


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@every_kind
def test_a_sentence_is_encoded_the_same_alone_and_in_a_batch(
    cell: Cell, attention: Attention
) -> None:
    model = make_model(cell, attention)
    memory, states = model.encode(*padded(SOURCES))
    for b, source in enumerate(SOURCES):
        alone, alone_states = model.encode(*padded([source]))
        if attention != "none":
            close(memory.keys[b, :, : len(source)], alone.keys[0])
            close(memory.values[b, :, : len(source)], alone.values[0])
            assert memory.mask[b].tolist() == [s < len(source) for s in range(6)]
        else:
            assert memory.keys.shape[2] == memory.mask.shape[1] == 0
        for layer, alone_layer in zip(states, alone_states, strict=True):
            for part, alone_part in zip(layer, alone_layer, strict=True):
                close(part[b], alone_part[0])


@every_kind
def test_gradients_do_not_see_padding_or_neighbours(cell: Cell, attention: Attention) -> None:
    def gradients(rows: Sequence[int], watched: int) -> Iterator[Tensor]:
        """Of a function of sentence `watched` alone, in a batch of the sentences `rows`."""
        model = make_model(cell, attention)
        batch = make_batch(rows, [SOURCES[i] for i in rows], [TARGETS[i] for i in rows])
        readout, targets = forward(model, batch)
        first = int(batch.tgt_lengths[: rows.index(watched)].sum())
        of_watched = slice(first, first + len(TARGETS[watched]) + 1)
        logits = model.logits(readout[of_watched])
        torch.autograd.backward(nn.functional.cross_entropy(logits, targets[of_watched]))
        for parameter in model.parameters():
            yield parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)

    for watched in range(len(SOURCES)):
        for in_batch, alone in zip(
            gradients(range(len(SOURCES)), watched), gradients([watched], watched), strict=True
        ):
            close(in_batch, alone)


@every_kind
def test_what_lies_under_the_padding_does_not_matter(cell: Cell, attention: Attention) -> None:
    model = make_model(cell, attention)
    batch = make_batch(range(len(SOURCES)), SOURCES, TARGETS)
    before, _ = forward(model, batch)
    batch.src[batch.src == PAD_ID] = 20
    batch.tgt_in[batch.tgt_in == PAD_ID] = 21
    after, _ = forward(model, batch)
    assert torch.equal(before, after)


@every_kind
def test_step_by_step_equals_teacher_forcing(cell: Cell, attention: Attention) -> None:
    model = make_model(cell, attention)
    batch = make_batch(range(len(SOURCES)), SOURCES, TARGETS)
    readout, _ = forward(model, batch)
    expected = torch.split(model.logits(readout).log_softmax(dim=-1), batch.tgt_lengths.tolist())

    memory, states = model.encode(*padded(SOURCES))
    steps = []
    for tokens in torch.split(torch.from_numpy(batch.tgt_in), 1, dim=1):
        log_probs, _, states = model.step(tokens, memory, states)
        steps.append(log_probs[:, 0])
    for b, length in enumerate(batch.tgt_lengths.tolist()):
        close(torch.stack([step[b] for step in steps[:length]]), expected[b])


@every_kind
def test_hypotheses_of_a_sentence_do_not_see_each_other(cell: Cell, attention: Attention) -> None:
    model = make_model(cell, attention)
    memory, states = model.encode(*padded(SOURCES))
    beam = 3
    wide = [tuple(part.repeat_interleave(beam, dim=0) for part in layer) for layer in states]
    tokens = torch.arange(4, 4 + len(SOURCES) * beam).view(len(SOURCES), beam)
    log_probs, weights, new_states = model.step(tokens, memory, wide)
    assert log_probs.shape == (len(SOURCES), beam, V)
    for k in range(beam):
        narrow, narrow_weights, narrow_states = model.step(tokens[:, k : k + 1], memory, states)
        close(log_probs[:, k], narrow[:, 0])
        assert (weights is None) == (narrow_weights is None) == (attention == "none")
        if weights is not None and narrow_weights is not None:
            close(weights[:, :, k], narrow_weights[:, :, 0])
        for layer, narrow_layer in zip(new_states, narrow_states, strict=True):
            for part, narrow_part in zip(layer, narrow_layer, strict=True):
                close(part.view(len(SOURCES), beam, -1)[:, k], narrow_part)


def test_log_probabilities_sum_to_one() -> None:
    model = make_model()
    log_probs, _, _ = model.step(torch.full((4, 1), BOS_ID), *model.encode(*padded(SOURCES)))
    close(log_probs.exp().sum(dim=-1), torch.ones(4, 1))


def test_without_attention_only_the_summary_passes() -> None:
    model = make_model(attention="none")
    assert model.decoder.attention is None
    assert not [name for name, _ in model.named_parameters() if "attention" in name]
    memory, states = model.encode(*padded(SOURCES))
    assert memory.values.numel() == 0
    # The states hold all: another sentence's memory changes nothing.
    tokens = torch.full((4, 1), BOS_ID)
    other = Memory(*(part.flip(0) for part in memory))
    assert torch.equal(model.step(tokens, memory, states)[0], model.step(tokens, other, states)[0])


def test_the_embedding_is_one_parameter() -> None:
    model = make_model()
    assert [name for name, p in model.named_parameters() if p.shape == (V, H)] == [
        "embedding.weight"
    ]
    assert [name for name, t in model.state_dict().items() if t.shape == (V, H)] == [
        "embedding.weight"
    ]
    readout = torch.randn(5, H)
    close(model.logits(readout), readout @ model.embedding.weight.T + model.output_bias)


def test_attention_weights_sum_to_one_and_leave_padding_out() -> None:
    torch.manual_seed(1)
    attention = MultiHeadAttention(H, G)
    lengths = torch.tensor([3, 1, 6])
    mask = torch.arange(6) < lengths.unsqueeze(1)
    memory = attention.remember(torch.randn(3, 6, H), mask)
    context, weights = attention(torch.randn(3, 4, H), memory)
    assert context.shape == (3, 4, H)
    assert weights.shape == (3, G, 4, 6)
    close(weights.sum(dim=-1), torch.ones(3, G, 4))
    assert (weights.masked_select(~mask[:, None, None, :]) == 0).all()
    assert (weights.masked_select(mask[:, None, None, :]) > 0).all()


def test_attention_equals_torchs_own() -> None:
    torch.manual_seed(1)
    attention = MultiHeadAttention(H, G)
    theirs = nn.MultiheadAttention(H, G, bias=False, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([attention.query.weight, attention.key_value.weight]))
        theirs.out_proj.weight.copy_(attention.output.weight)
    encoded, queries = torch.randn(2, 5, H), torch.randn(2, 3, H)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    context, weights = attention(queries, attention.remember(encoded, mask))
    expected, expected_weights = theirs(
        queries, encoded, encoded, key_padding_mask=~mask, average_attn_weights=False
    )
    close(context, expected)
    close(weights, expected_weights)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 3))
def test_reversing_twice_changes_nothing(lengths: list[int], extra: int) -> None:
    size = max(lengths) + extra
    rows = reverse_rows(torch.tensor(lengths), size)
    assert rows[rows].tolist() == list(range(len(lengths) * size))


def test_sequences_are_reversed_within_their_length() -> None:
    rows = reverse_rows(torch.tensor([3, 1, 4]), 4)
    assert rows.view(3, 4).tolist() == [[2, 1, 0, 3], [4, 5, 6, 7], [11, 10, 9, 8]]


@pytest.mark.parametrize("cell", CELLS)
def test_a_bidirectional_layer_equals_torchs_packed_one(cell: Cell) -> None:
    torch.manual_seed(1)
    ours = BidirectionalLayer(ModelConfig(cell, hidden_size=H, heads=G), cell)
    make: Callable[..., nn.RNNBase] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell]
    theirs = make(H, H // 2, batch_first=True, bidirectional=True)
    theirs_by_name = dict(theirs.named_parameters())
    ours_by_name = {}
    for part, suffix in ((ours.forwards, ""), (ours.backwards, "_reverse")):
        for name, weight in part.fused.named_parameters():
            ours_by_name[name + suffix] = weight
            theirs_by_name[name + suffix].data.copy_(weight.data)
    assert ours_by_name.keys() == theirs_by_name.keys()

    lengths = torch.tensor([3, 1, 6, 4])
    x = torch.randn(4, 6, H, requires_grad=True)
    x_packed = x.detach().clone().requires_grad_()
    packed = nn.utils.rnn.pack_padded_sequence(
        x_packed, lengths, batch_first=True, enforce_sorted=False
    )
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    real = (torch.arange(6) < lengths.unsqueeze(1)).unsqueeze(-1)
    actual = ours(x, reverse_rows(lengths, 6)) * real
    close(actual, expected)

    factors = torch.randn(4, 6, H)
    torch.autograd.backward([actual, expected], [factors, factors])
    assert x.grad is not None
    assert x_packed.grad is not None
    close(x.grad, x_packed.grad)
    for name, weight in ours_by_name.items():
        their_gradient = theirs_by_name[name].grad
        assert weight.grad is not None
        assert their_gradient is not None
        close(weight.grad, their_gradient)


@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_goes_on_from_its_state(cell: Cell) -> None:
    torch.manual_seed(1)
    layer = RecurrentLayer(cell, 3, H)
    x = torch.randn(2, 7, 3)
    whole, last = layer(x)
    first, state = layer(x[:, :4])
    second, end = layer(x[:, 4:], state)
    close(torch.cat([first, second], dim=1), whole)
    assert len(end) == (2 if cell == "lstm" else 1)
    for part, other in zip(end, last, strict=True):
        assert part.shape == (2, H)
        close(part, other)


def test_forget_gates_start_open() -> None:
    layer = RecurrentLayer("lstm", 3, H)
    bias = layer.fused.bias_ih_l0.detach() + layer.fused.bias_hh_l0.detach()
    assert bias.tolist() == [0.0] * H + [1.0] * H + [0.0] * 2 * H


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_dropout_drops_at_its_rate_and_scales_the_rest(rate: float) -> None:
    torch.manual_seed(1)
    dropped = Dropout(rate)(torch.ones(1000, 301))
    zeros = (dropped == 0).float().mean().item()
    assert abs(zeros - rate) < 5 * math.sqrt(rate * (1 - rate) / dropped.numel())
    kept = dropped[dropped != 0]
    close(kept, torch.full_like(kept, 1 / (1 - rate)))


def test_dropout_is_off_in_evaluation_and_at_rate_0() -> None:
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (2, 1, 7)])
def test_dropout_of_any_shape(shape: tuple[int, ...]) -> None:
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


def test_dropout_draws_from_torchs_generator() -> None:
    def draw() -> Tensor:
        dropped: Tensor = Dropout(0.5)(torch.ones(100))
        return dropped

    torch.manual_seed(1)
    first, second = draw(), draw()
    torch.manual_seed(1)
    assert torch.equal(draw(), first)
    assert not torch.equal(first, second)


def test_dropout_passes_the_gradient_where_it_passes_the_value() -> None:
    torch.manual_seed(1)
    x = torch.ones(100, requires_grad=True)
    dropped = Dropout(0.3)(x)
    dropped.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, dropped.detach())


def test_dropped_positions_are_independent() -> None:
    # Four values share 64 random bits: neighbours must not be dropped together.
    torch.manual_seed(1)
    kept = (Dropout(0.5)(torch.ones(40_000)) != 0).view(-1, 4).float()
    correlations = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlations.abs().max().item() < 0.05


def test_embedding_dropout_drops_whole_embeddings() -> None:
    torch.manual_seed(1)
    model = EncoderDecoder(ModelConfig(hidden_size=H, heads=G), V, embedding_dropout=0.25).train()
    ids = torch.full((40, 50), EOS_ID)
    words = model._embed(ids)  # (B, T, H)
    gone = (words == 0).all(dim=-1)
    assert torch.equal(gone, (words == 0).any(dim=-1))
    assert abs(gone.float().mean().item() - 0.25) < 0.05
    whole = model.eval()._embed(ids)
    close(words[~gone], whole[~gone] / 0.75)


def test_training_mode_alone_makes_it_random() -> None:
    config = ModelConfig(hidden_size=H, heads=G)
    model = EncoderDecoder(config, V, dropout=0.3, embedding_dropout=0.1)
    batch = make_batch(range(len(SOURCES)), SOURCES, TARGETS)
    random = [forward(model.train(), batch)[0] for _ in range(2)]
    still = [forward(model.eval(), batch)[0] for _ in range(2)]
    assert not torch.equal(*random)
    assert torch.equal(*still)


def test_every_parameter_is_trained() -> None:
    for cell, attention in KINDS:
        model = make_model(cell, attention)
        readout, _ = forward(model, make_batch(range(len(SOURCES)), SOURCES, TARGETS))
        torch.autograd.backward(model.logits(readout).square().sum())
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_positions_choose_what_is_read_out() -> None:
    model = make_model()
    src, lengths = padded(SOURCES)
    tgt_in = torch.randint(4, V, (4, 5))
    everything = model(src, lengths, tgt_in, torch.arange(20))
    chosen = torch.tensor([3, 0, 19])
    assert torch.equal(model(src, lengths, tgt_in, chosen), everything[chosen])


@pytest.mark.slow
@every_kind
def test_gradients_are_deterministic_on_a_cpu(cell: Cell, attention: Attention) -> None:
    """The same bits where torch promises no order and where it does."""
    found = []
    for promised in (False, True):
        model = make_model(cell, attention).train()
        torch.use_deterministic_algorithms(promised)
        try:
            readout, targets = forward(model, make_batch(range(len(SOURCES)), SOURCES, TARGETS))
            loss = nn.functional.cross_entropy(model.logits(readout), targets)
            torch.autograd.backward(loss)
        finally:
            torch.use_deterministic_algorithms(False)
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("kind", ["dot", "additive"])
def test_an_attention_with_one_head_is_the_equation_of_its_paper(kind: str) -> None:
    torch.manual_seed(1)
    attention = DotAttention() if kind == "dot" else AdditiveAttention(H)
    encoded, queries = torch.randn(2, 3, H), torch.randn(2, 4, H)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    context, weights = attention(queries, attention.remember(encoded, mask))
    for b, length in enumerate((3, 2)):
        for t in range(4):
            scores = []
            for h in encoded[b, :length]:
                if isinstance(attention, AdditiveAttention):
                    inner = attention.query.weight @ queries[b, t] + attention.key.weight @ h
                    scores.append(attention.score.weight[0] @ inner.tanh())
                else:
                    scores.append(queries[b, t] @ h)
            expected = torch.stack(scores).softmax(dim=0)
            close(weights[b, 0, t, :length], expected)
            close(context[b, t], expected @ encoded[b, :length])


def with_input_feeding(attention: Attention) -> EncoderDecoder:
    torch.manual_seed(1)
    config = ModelConfig("lstm", attention, H, 1, 2, G, input_feeding=True)
    model = EncoderDecoder(config, V).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("attention", ["multihead", "dot", "additive"])
def test_input_feeding_gives_the_first_layer_the_last_readout(attention: Attention) -> None:
    model = with_input_feeding(attention)
    memory, states = model.encode(*padded(SOURCES))
    assert not states[-1][0].any()
    tokens = torch.tensor([[5], [6], [7], [8]])
    decoded = model.decoder.step(model._embed(tokens), memory, states)
    close(decoded.states[-1][0], model.decoder.readout(decoded.features)[:, 0])
    first = model.decoder.layers[0]
    _, (hidden, _) = first(
        torch.cat([model._embed(tokens), decoded.states[-1][0].unsqueeze(1)], dim=-1),
        decoded.states[0],
    )
    close(model.decoder.step(model._embed(tokens), memory, decoded.states).states[0][0], hidden)


@pytest.mark.parametrize("attention", ["multihead", "dot", "additive"])
def test_with_input_feeding_step_by_step_equals_teacher_forcing(attention: Attention) -> None:
    model = with_input_feeding(attention)
    batch = make_batch(range(len(SOURCES)), SOURCES, TARGETS)
    readout, _ = forward(model, batch)
    expected = torch.split(model.logits(readout).log_softmax(dim=-1), batch.tgt_lengths.tolist())
    for b, source in enumerate(SOURCES):  # alone, so without padding
        memory, states = model.encode(*padded([source]))
        for t, token in enumerate([BOS_ID, *TARGETS[b]]):
            log_probs, _, states = model.step(torch.tensor([[token]]), memory, states)
            close(log_probs[0, 0], expected[b][t])


def test_input_feeding_without_attention_is_refused() -> None:
    with pytest.raises(UsageError, match=r"choose a model\.attention"):
        ModelConfig(attention="none", input_feeding=True)
