"""Does a text follow a grammar? Checked byte by byte, without any model's tokens."""

from __future__ import annotations

from llguidance import LLMatcher, LLTokenizer

from deltanas.errors import ModelError


def fault(grammar: str, text: str) -> str:
    """Where `text` leaves `grammar` (llguidance's dialect of Lark); "" where it follows it to its end.

    Raises ModelError for a grammar that does not compile.
    """
    matcher = LLMatcher(LLTokenizer("byte"), grammar)
    if matcher.is_error():
        raise ModelError(f"A grammar does not compile: {matcher.get_error()}")
    content = text.encode()
    held = matcher.validate_tokens(list(content))
    if held == len(content) and matcher.consume_tokens(list(content)) and matcher.is_accepting():
        return ""
    rest = content[held:].decode("utf-8", "replace")
    return f"it goes wrong at {' '.join(rest.split())[:200]!r}" if rest else "it ends too early"
