"""Lesson 1: the four shapes of sequence models."""

from typing import Any

from seq2seq.course.exercise import (
    Exercise,
    Lesson,
    is_close,
    require,
    require_choices,
    require_list,
)

_SHAPES = {
    "is this review friendly or not": "many to one",
    "is each word of this text a noun": "aligned",
    "go on from this first letter": "one to many",
    "translate this sentence": "many to many",
    "does each word begin with a capital": "aligned",
    "which language is this": "many to one",
}
_INPUTS = [3, 1, 4, 1, 5]
_BEGIN, _END, _MOST = 7, 0, 20


def _encoder(symbol: int, state: float) -> float:
    return 0.5 * state + symbol


def _decoder(symbol: int, state: float) -> float:
    return 0.8 * state + 0.1 * symbol


def _readout(state: float) -> int:
    return int(state)


def _never_ending(state: float) -> int:
    return 1 + int(state) % 3


def _check_read(read: Any) -> None:
    states, state = [], 2.0
    for symbol in _INPUTS:
        state = _encoder(symbol, state)
        states.append(state)
    answer = require_list(read(_encoder, [*_INPUTS], 2.0), "states")
    require(
        not is_close(answer, [2.0, *states]),
        "the state before the first input is among them; only those after an input belong there.",
    )
    require(
        not is_close(answer, [_encoder(symbol, 2.0) for symbol in _INPUTS]),
        "every step begins with the same state; each should take what the one before it returned.",
    )
    require(is_close(answer, states), "for five inputs there should be five states, in order.")


def _check_write(write: Any) -> None:
    def written(feeds_back: bool) -> list[int]:
        outputs, symbol, state = [], 9, 4.0
        for _ in range(6):
            state = _decoder(symbol, state)
            outputs.append(_readout(state))
            symbol = outputs[-1] if feeds_back else symbol
        return outputs

    answer = require_list(write(_decoder, _readout, 9, 4.0, 6), "outputs")
    require(answer != written(False), "it reads the first input at every step; read the output.")
    require(answer != [9, *written(True)[:-1]], "the first input is not an output; leave it out.")
    require(answer == written(True), "per step: the new state, its output, which is read next.")


def _check_translate(translate: Any) -> None:
    def translated(inputs: list[int], readout: Any) -> list[int]:
        state, symbol, outputs = 0.0, _BEGIN, list[int]()
        for source in inputs:
            state = _encoder(source, state)
        while len(outputs) < _MOST:
            state = _decoder(symbol, state)
            symbol = readout(state)
            if symbol == _END:
                break
            outputs.append(symbol)
        return outputs

    answer = require_list(
        translate(_encoder, _decoder, _readout, [*_INPUTS], _BEGIN, _END), "outputs"
    )
    expected = translated(_INPUTS, _readout)
    require(answer != [*expected, _END], "the end is among the outputs; stop before you add it.")
    require(
        answer != translated([], _readout),
        "the decoder begins with nothing; it should begin with the encoder's last state.",
    )
    require(
        answer != translated(_INPUTS[-1:], _readout),
        "only the last input arrives; the encoder should hand its state on from input to input.",
    )
    require(answer == expected, "read all inputs first; then write, and read what you wrote.")
    long = translate(_encoder, _decoder, _never_ending, [*_INPUTS], _BEGIN, _END)
    require(
        long == translated(_INPUTS, _never_ending),
        "a decoder that never says the end has to stop as well: after 20 outputs.",
    )


LESSON = Lesson(
    1,
    "Four shapes of sequence",
    (
        Exercise("SHAPES", lambda answer: require_choices(answer, _SHAPES)),
        Exercise("read", _check_read),
        Exercise("write", _check_write),
        Exercise("translate", _check_translate),
    ),
)
