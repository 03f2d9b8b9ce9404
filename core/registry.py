"""A registry: ids in the order they were declared, no duplicates, a suggestion for a misspelt id."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from core.errors import UnknownIdError

T = TypeVar("T")


class DuplicateIdError(ValueError):
    """Two entries with one id: a mistake of the programmer, not of the user."""


class Registry(Generic[T]):
    """Ordered entries under unique ids.

    Parameters
    ----------
    noun:
        What an entry is called in messages, such as `upscaler`.
    key:
        Gives the id of an entry.
    """

    def __init__(self, noun: str, key: Callable[[T], str]) -> None:
        self._noun = noun
        self._key = key
        self._entries: dict[str, T] = {}

    def add(self, *entries: T) -> None:
        """Add all `entries`, or none of them.

        Raises
        ------
        DuplicateIdError
            An id occurs twice; the registry is left as it was.
        """
        added = dict(self._entries)
        for entry in entries:
            entry_id = self._key(entry)
            if entry_id in added:
                raise DuplicateIdError(f"Two entries are called {entry_id!r}: each {self._noun} needs an id of its own.")
            added[entry_id] = entry
        self._entries = added

    def get(self, entry_id: str) -> T:
        """The entry with this id.

        Raises
        ------
        UnknownIdError
            No entry has it. The message names the nearest id.
        """
        try:
            return self._entries[entry_id]
        except KeyError:
            raise UnknownIdError(self._miss(entry_id)) from None

    def ids(self) -> list[str]:
        """All ids, in the order of declaration."""
        return list(self._entries)

    def select(self, entry_ids: Iterable[str]) -> list[T]:
        """The entries with these ids, in the order given. Raises `UnknownIdError`."""
        return [self.get(entry_id) for entry_id in entry_ids]

    def _miss(self, entry_id: str) -> str:
        near = difflib.get_close_matches(entry_id, self._entries, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(self._entries)}."
        return f"Unknown {self._noun} {entry_id!r}. {hint}"

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._entries
