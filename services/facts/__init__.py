"""Facts, what is thought of them, and texts that are judged. `FactsRegistry` and `Fact` are the library.

They are imported at their first use, so that the first version, in `before`, stands without them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.facts.records import Fact, ValidationResult, ValidationStatus
    from services.facts.registry import FactsRegistry

__all__ = ["Fact", "FactsRegistry", "ValidationResult", "ValidationStatus"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A public name, from its home. Raises AttributeError."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{'registry' if name == 'FactsRegistry' else 'records'}"), name)
