"""What a checker says about an answer. Knows no exercise."""

from __future__ import annotations

import html
from dataclasses import dataclass

# Sign, words and colour of each state. The colours are told apart by readers with any colour
# vision, and the sign and the words say the same without them.
_LOOKS = {
    "right": ("✓", "Right.", "#009e73"),
    "wrong": ("✗", "Not yet.", "#d55e00"),
    "open": ("…", "Not answered yet.", "#7a8190"),
}


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and what about it is not.

    Attributes
    ----------
    state
        `"right"`, `"wrong"` or `"open"`, when nothing was answered yet.
    words
        Sentences that follow from the answer; they never hold the solution.

    Examples
    --------
    >>> from slimlab_widgets.teaching import Verdict
    >>> Verdict("wrong", "One layer is missing.")
    ✗ Not yet. One layer is missing.
    """

    state: str
    words: str

    @classmethod
    def of(cls, faults: list[str], praise: str) -> Verdict:
        """Right with some praise where there is no fault, wrong with all faults otherwise."""
        return cls("wrong", " ".join(faults)) if faults else cls("right", praise)

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.state == "right"

    def __repr__(self) -> str:
        sign, word, _ = _LOOKS[self.state]
        return f"{sign} {word} {self.words}".rstrip()

    def _repr_html_(self) -> str:
        # No background: the text keeps the colours of the page, light or dark.
        sign, word, colour = _LOOKS[self.state]
        return (
            f'<div role="status" style="border-left: 4px solid {colour}; padding: 4px 12px">'
            f"<strong>{sign} {word}</strong> {html.escape(self.words)}</div>"
        )
