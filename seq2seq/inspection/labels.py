"""How a token is written beside a picture."""


def label(token: str, most: int = 14) -> str:
    """A piece as a reader knows it: `▁dog` is dog, and `s`, which goes on a word, is ·s."""
    text = token.removeprefix("▁") or "space"
    if text == token and token[0].isalnum():
        text = f"·{text}"
    return text if len(text) <= most else f"{text[: most - 1]}…"
