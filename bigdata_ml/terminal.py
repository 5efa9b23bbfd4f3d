"""What is printed for people: one line a text, nothing of which a terminal or rich takes for a command."""

from typing import Any

from rich.console import Console
from rich.text import Text

from bigdata_ml.shown import shown

__all__ = ["PlainConsole"]


class PlainConsole(Console):
    """A console whose texts, table cells among them, are what they say: no markup, no control characters, no secrets."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is drawn; rich calls it for whatever is given as text."""
        return super().render_str(shown(text), **{**options, "markup": False, "emoji": False})
