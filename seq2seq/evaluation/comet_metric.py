"""COMET, a neural metric that also reads the source (Rei et al. 2022), if the user installed it.

It is not a dependency, since it downloads a model of over two gigabytes.
"""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from seq2seq.bleu_chrf import BOOTSTRAP_SAMPLES, MetricScore
from seq2seq.errors import Seq2SeqError

COMET_MODEL = "Unbabel/wmt22-comet-da"

_BATCH = 16  # sentences
_SEED = 12345  # the same as for sacreBLEU's intervals


def require_comet() -> None:
    """Raise `Seq2SeqError` if COMET is not installed."""
    if find_spec("comet") is None:
        raise Seq2SeqError("--metric comet needs COMET: pip install unbabel-comet")


def comet_score(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]
) -> MetricScore:
    """Score translations with COMET, times 100; the first use downloads its model.

    The interval is by bootstrap resampling of the sentence scores.
    """
    require_comet()
    import torch
    from comet import download_model, load_from_checkpoint

    model = load_from_checkpoint(download_model(COMET_MODEL))
    rows = [
        {"src": source, "mt": hypothesis, "ref": reference}
        for source, hypothesis, reference in zip(sources, hypotheses, references, strict=True)
    ]
    gpus = int(torch.cuda.is_available())
    scores = 100 * np.array(model.predict(rows, batch_size=_BATCH, gpus=gpus).scores)
    random = np.random.default_rng(_SEED)
    drawn = random.choice(scores, size=(BOOTSTRAP_SAMPLES, len(scores))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    signature = f"nrefs:1|bs:{BOOTSTRAP_SAMPLES}|seed:{_SEED}|model:{COMET_MODEL}|scale:100"
    return MetricScore("COMET", float(scores.mean()), float(high - low) / 2, signature)
