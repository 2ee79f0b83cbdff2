"""Managers: a server process that holds objects, and proxies by which others call them."""

__all__: list[str] = []
