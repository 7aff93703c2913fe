"""The whole network of a translator: embedding, encoder, decoder, tied softmax."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.config.model_config import ModelConfig
from seq2seq.nn.attention import Memory
from seq2seq.nn.cells import CellType
from seq2seq.nn.decoder import Decoder
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.encoder import Encoder
from seq2seq.nn.recurrent import State


class EncoderDecoder(nn.Module):
    """A recurrent encoder-decoder, which models P(target | source).

    Without attention it is that of Sutskever et al. (2014), with attention that of Bahdanau et al.
    (2015). Source, target and softmax share one embedding (V, H) (Press & Wolf 2017).
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary_size: int,
        *,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        tied_dropout: bool = False,
        weight_drop: float = 0.0,
        own_cell: CellType | None = None,
    ) -> None:
        """Make a network with random weights.

        `own_cell` is the cell if it is not built in. See `Dropout` for `tied_dropout`, and
        `RecurrentLayer` for `weight_drop`.
        """
        super().__init__()
        cell = own_cell or config.cell
        self.config = config
        self.own_cell = own_cell
        self.embedding_dropout = embedding_dropout
        self.embedding = nn.Embedding(vocabulary_size, config.hidden_size)
        nn.init.normal_(self.embedding.weight, std=config.hidden_size**-0.5)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.encoder = Encoder(
            config, dropout, cell, tied_dropout=tied_dropout, weight_drop=weight_drop
        )
        self.decoder = Decoder(
            config, dropout, cell, tied_dropout=tied_dropout, weight_drop=weight_drop
        )
        self.dropout = Dropout(dropout, tied_dropout)

    def encode(self, src: Tensor, lengths: Tensor) -> tuple[Memory, list[State]]:
        """Encode src (B, S), lengths (B,) -> the memory and the decoder's states before BOS."""
        encoded, final_state = self.encoder(self._embed(src), lengths)
        mask = torch.arange(src.shape[1], device=src.device) < lengths.unsqueeze(1)  # (B, S)
        attention = self.decoder.attention
        if attention is None:
            nothing = encoded.new_zeros(len(src), 1, 0, encoded.shape[-1])
            memory = Memory(nothing, nothing, mask[:, :0])
        else:
            memory = attention.remember(encoded, mask)
        return memory, self.decoder.initial_states(final_state)

    def forward(self, src: Tensor, lengths: Tensor, tgt_in: Tensor, positions: Tensor) -> Tensor:
        """Return the readout (P, H) at P target positions, with teacher forcing.

        src is (B, S), lengths (B,), tgt_in (B, T) beginning with BOS, and positions (P,) holds row
        numbers of a (B * T, ...) view. Leave padding out of the positions, so that the softmax, the
        most expensive product, is never computed for it.
        """
        memory, states = self.encode(src, lengths)
        features = self.decoder(self._embed(tgt_in), memory, states).features  # (B, T, F)
        kept = features.flatten(0, 1).index_select(0, positions)  # (P, F)
        output: Tensor = self.decoder.readout(kept)
        return output

    def step(
        self, tokens: Tensor, memory: Memory, states: list[State]
    ) -> tuple[Tensor, Tensor | None, list[State]]:
        """Decode one token for each of K hypotheses per sentence: tokens (B, K), states (B * K, H).

        Returns log-probabilities (B, K, V), attention (B, G, K, S) or None, and the new states.
        """
        decoded = self.decoder.step(self._embed(tokens), memory, states)
        logits = self.logits(self.decoder.readout(decoded.features))  # (B, K, V)
        return logits.float().log_softmax(dim=-1), decoded.weights, decoded.states

    def logits(self, readout: Tensor) -> Tensor:
        """Compute the logits of all words: readout (..., H) -> (..., V)."""
        return functional.linear(readout, self.embedding.weight, self.output_bias)

    def _embed(self, ids: Tensor) -> Tensor:
        """Embed ids (B, T) -> (B, T, H), with dropout in training."""
        x: Tensor = self.embedding(ids) * self.config.embedding_scale
        if self.training and self.embedding_dropout:
            # Drop whole words, so the model learns to rely on context (Gal & Ghahramani 2016).
            kept = torch.rand(ids.shape, device=ids.device) >= self.embedding_dropout
            x = x * kept.unsqueeze(-1) / (1 - self.embedding_dropout)
        dropped: Tensor = self.dropout(x)
        return dropped
