"""`pytest -p forkful`: the tests, and what they test, have forkful as their multiprocessing."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes 7 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["pytest_load_initial_conftests", "pytest_report_header", "pytest_unconfigure"]


def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> None:
    """Before the first file of the program is imported."""
    from forkful._run.install import install

    install()


def pytest_report_header(config: Any) -> str:
    """The line that pytest prints before the tests."""
    import forkful

    return f"multiprocessing: forkful {forkful.__version__}"


def pytest_unconfigure(config: Any) -> None:
    """When all tests are done."""
    from forkful._run.install import uninstall

    uninstall()
