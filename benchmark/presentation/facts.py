"""Pairs of head and text, as a list in HTML. Texts may be of foreign origin."""

from collections.abc import Sequence
from html import escape

Facts = Sequence[tuple[str, str]]


def definition_list(facts: Facts) -> str:
    """The facts as a `<dl>`; texts that are `https://` addresses are links."""
    return f'<dl class="ub-facts">{"".join(f"<dt>{escape(head)}</dt><dd>{_text(text)}</dd>" for head, text in facts)}</dl>'


def is_link(text: str) -> bool:
    """Whether a text is an address that may become a link."""
    return text.startswith("https://") and not any(character.isspace() or character in "<>\"'" for character in text)


def _text(text: str) -> str:
    return f'<a href="{escape(text)}" target="_blank" rel="noopener noreferrer">{escape(text)}</a>' if is_link(text) else escape(text)
