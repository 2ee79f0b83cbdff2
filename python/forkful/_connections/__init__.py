"""Connections, and what is around them."""

__all__: list[str] = []
