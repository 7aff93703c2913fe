"""The models that come with the package."""

from pathlib import Path

from seq2seq.errors import UsageError

_MODELS = Path(__file__).parent / "models"

DEFAULT_MODEL = _MODELS / "en-de.s2s"
"""The model to use if no languages are given."""


def bundled_models() -> list[Path]:
    """List the folders of the bundled models, `DEFAULT_MODEL` first."""
    others = sorted(_MODELS.glob("*.s2s"))
    return [DEFAULT_MODEL, *(folder for folder in others if folder != DEFAULT_MODEL)]


def bundled_model(source: str | None = None, target: str | None = None) -> Path:
    """Return the first bundled model that was trained for these languages; None fits any.

    Raises `UsageError`, with a list of the directions, if there is no such model.
    """
    if source is None and target is None:
        return DEFAULT_MODEL
    from seq2seq.config.model_config import known_language
    from seq2seq.model_dir.read import read_config

    trained = {folder: read_config(folder).directions for folder in bundled_models()}
    directions = [direction for known in trained.values() for direction in known]
    codes = [code for direction in directions for code in (direction.source, direction.target)]
    source, target = (code and known_language(code, codes) for code in (source, target))
    for folder, known in trained.items():
        if any(direction.fits(source, target) for direction in known):
            return folder
    raise UsageError(
        f"no bundled model was trained for {source or 'any'}-{target or 'any'}; the directions are "
        f"{', '.join(map(str, directions))}. seq2seq.Router translates between more languages, "
        "in two steps."
    )
