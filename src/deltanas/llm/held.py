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
    rest = " ".join(content[held:].decode("utf-8", "replace").split())[:200]
    if not rest:
        return "it ends too early"
    matcher.reset()
    whole = held and matcher.consume_tokens(list(content[:held])) and matcher.is_accepting()
    return f"it goes on where it should have ended, with {rest!r}" if whole else f"it goes wrong at {rest!r}"
