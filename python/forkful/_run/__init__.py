"""`forkful run`, and standing in for the standard package."""

__all__ = ["pytest_plugins"]

# For `pytest -p forkful`: where the hooks are.
pytest_plugins = ("forkful._run.pytest_plugin",)
