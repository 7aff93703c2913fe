"""What a run tells: rows of metrics.jsonl for programs, lines for people."""

import time
from collections.abc import Mapping
from typing import Any

from seq2seq.training.display import Display
from seq2seq.training.metrics_log import MetricsLog
from seq2seq.training.stability import MOST_ROLLBACKS
from seq2seq.training.state import Position
from seq2seq.training.validation import Validation

_LINE_STEPS = 500  # steps between two lines


class Journal:
    """Writes to `metrics` and `display`. The length of the former is part of the position."""

    def __init__(self, metrics: MetricsLog, display: Display) -> None:
        self._metrics = metrics
        self._display = display
        self._told_of_memory = False

    def trained(self, position: Position, rate: float, norm: float, speed: float) -> None:
        """The batches of `position.window` are learnt."""
        means = position.window.means()
        self._append(
            position,
            "train",
            {
                "epoch": position.last_epoch,
                "loss": means["loss"],
                "nll": means["nll"],
                "learning_rate": rate,
                "gradient_norm": norm,
                "padding_share": means["padding_share"],
                "tokens_per_second": round(speed, 1),
            },
        )
        if position.step % _LINE_STEPS == 0:
            self._display.say(
                f"epoch {position.last_epoch}, step {position.step:,}: loss {means['loss']:.3f}, "
                f"{speed:,.0f} target tokens/s, padding {means['padding_share']:.0%}"
            )

    def validated(self, position: Position, result: Validation, seconds: float) -> None:
        """The averaged weights have these figures."""
        self._append(
            position,
            "valid",
            {
                "epoch": position.last_epoch,
                "bleu": result.bleu,
                "chrf": result.chrf,
                "nll": result.nll,
                "perplexity": result.perplexity,
                "bleu_by_direction": {str(way): bleu for way, bleu in result.bleus.items()},
                "gates": result.gates,
                "seconds": round(seconds, 1),
            },
        )
        self._display.validated(result.bleu)
        self._display.say(
            f"epoch {position.last_epoch}, step {position.step:,}: validation BLEU "
            f"{result.bleu:.2f}, chrF {result.chrf:.2f} (greedy), "
            f"perplexity {result.perplexity:.2f}"
        )
        if len(result.bleus) > 1:
            self._display.say(
                "  " + ", ".join(f"{way} {bleu:.2f}" for way, bleu in result.bleus.items())
            )

    def went_back(self, position: Position, failed_step: int, what: str) -> None:
        """At `failed_step` something was found wrong; the run is at `position` again."""
        self._append(
            position,
            "rollback",
            {
                "failed_step": failed_step,
                "reason": what,
                "rate_factor": position.rate_factor,
            },
        )
        self._display.say(
            f"{what}: back to step {position.step:,}, and on with half the learning rate "
            f"({position.rollbacks} of at most {MOST_ROLLBACKS} times)."
        )

    def split(self, position: Position, pairs: int, parts: int, left_out: str) -> None:
        """A batch was too large for the memory of the GPU: a line the first time."""
        self._append(position, "split", {"pairs": pairs, "parts": parts, "left_out": left_out})
        if left_out or not self._told_of_memory:
            self._told_of_memory = True
            alone = f", without {left_out}" if left_out else ""
            self._display.say(
                f"step {position.step:,}: the GPU's memory does not suffice for a batch of "
                f"{pairs} pairs, which is learnt in {parts} parts{alone}; it would be faster with "
                "a lower training.batch_tokens."
            )

    def _append(self, position: Position, kind: str, values: Mapping[str, Any]) -> None:
        row = {"kind": kind, "step": position.step, **values, "time": round(time.time(), 1)}
        position.metrics_bytes = self._metrics.append(row)
