"""Tables of measured transforms, the released one and our own: what they say, and searches replayed on them."""
