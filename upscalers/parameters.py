"""What a person may set of an upscaler: its options, and the seed of one that draws random numbers."""

from dataclasses import dataclass

from core.errors import UsageError

OptionValue = float | int | str
DEFAULT_SEED = 0
"""What a stochastic upscaler starts from when nobody chooses: a result that can't be repeated is worth little."""
MAX_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One option of an upscaler, shown by the page and settable by `--option ID.name=value`."""

    name: str
    """Its key, snake_case."""
    label: str
    """Its name for people."""
    default: OptionValue
    """Its value when nobody sets it; the type of the option is the type of this value."""
    minimum: float | None = None
    """Smallest allowed number; None for a text."""
    maximum: float | None = None
    """Largest allowed number, or the largest number of characters of a text."""
    help: str
    """One sentence: what it does."""

    def __post_init__(self) -> None:
        if self.maximum is None or (self.minimum is None) != isinstance(self.default, str):
            raise ValueError(f"{self.name}: a number needs a minimum and a maximum, a text a maximum only.")

    def parse(self, upscaler_id: str, value: object) -> OptionValue:
        """The value as the right type. Raises `UsageError` when it is none or out of range."""
        assert self.maximum is not None
        if self.minimum is None:
            if not isinstance(value, str) or len(value) > self.maximum:
                raise UsageError(f"{upscaler_id}.{self.name} takes a text of up to {self.maximum:g} characters; got {_shortened(value)}.")
            return value
        kind = type(self.default)
        try:
            # Through a text, a fraction is not silently cut to a whole number.
            number = kind(str(value))
        except ValueError:
            number = None
        if not isinstance(number, int | float) or not self.minimum <= number <= self.maximum:
            what = "whole number" if kind is int else "number"
            raise UsageError(
                f"{upscaler_id}.{self.name} takes a {what} from {self.minimum:g} to {self.maximum:g}; got {_shortened(value)}."
            )
        return number


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}… ({len(text)} characters)"


def check_seed(seed: int | None) -> None:
    """Raises `core.errors.UsageError` for a number that can't be a seed."""
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise UsageError(f"A seed is a whole number from 0 to {MAX_SEED}; got {seed}.")
