"""The models that come with the package."""

from pathlib import Path

_MODELS = Path(__file__).parent / "models"

SHIPPED_MODEL = _MODELS / "en-de.s2s"
"""The one that translates where nothing else is asked for."""


def shipped_models() -> list[Path]:
    """All of them, `SHIPPED_MODEL` first."""
    others = sorted(_MODELS.glob("*.s2s"))
    return [SHIPPED_MODEL, *(folder for folder in others if folder != SHIPPED_MODEL)]


def shipped_model(source: str | None = None, target: str | None = None) -> Path:
    """The first that was trained to translate from and into these languages.

    Where none was, the one that knows most directions, which may try: see `Translator.between`.
    """
    if source is None and target is None:
        return SHIPPED_MODEL
    from seq2seq.model_dir.read import read_config

    known = {folder: read_config(folder).directions for folder in shipped_models()}
    fitting = (
        folder
        for folder, directions in known.items()
        if any(way.fits(source, target) for way in directions)
    )
    return next(fitting, max(known, key=lambda folder: len(known[folder])))
