def canonical_source(source: str) -> str:
    return source
