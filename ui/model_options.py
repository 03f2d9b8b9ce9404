"""What a visitor may set of upscalers: their own options, and the seed of those that draw random numbers."""

from collections.abc import Iterable, Mapping

import streamlit as st

from upscalers.parameters import DEFAULT_SEED, MAX_SEED, OptionValue, Parameter
from upscalers.spec import UpscalerSpec


def option_choice(
    specs: Iterable[UpscalerSpec], *, key: str = "option", given: Mapping[str, Mapping[str, OptionValue]] | None = None
) -> dict[str, dict[str, OptionValue]]:
    """A widget for each option of these upscalers; returns those that are not as they would be unasked, by the upscalers' ids.

    Parameters
    ----------
    key:
        What the keys of the widgets begin with.
    given:
        The values to begin with; the others begin as they would be unasked.
    """
    chosen: dict[str, dict[str, OptionValue]] = {}
    for spec in specs:
        for parameter in spec.parameters:
            first = (given or {}).get(spec.id, {}).get(parameter.name, parameter.default)
            value = _option(spec, parameter, first, f"{key} {spec.id} {parameter.name}")
            if value != parameter.default:
                chosen[spec.id] = {**chosen.get(spec.id, {}), parameter.name: value}
    return chosen


def seed_choice(specs: Iterable[UpscalerSpec], *, key: str = "seed", given: int = DEFAULT_SEED) -> int | None:
    """A field for the seed; None where none of these upscalers draws random numbers."""
    drawing = [spec.name for spec in specs if spec.stochastic]
    if not drawing:
        return None
    tip = f"{', '.join(drawing)}: the same seed gives the same picture, another one another picture."
    return int(st.number_input("Seed", 0, MAX_SEED, given, key=key, help=tip))


def _option(spec: UpscalerSpec, parameter: Parameter, value: OptionValue, key: str) -> OptionValue:
    label, tip = f"{spec.name}: {parameter.label.lower()}", parameter.help
    low, high = parameter.minimum, parameter.maximum
    if low is None or high is None:
        return st.text_input(label, str(value), max_chars=None if high is None else int(high), key=key, help=tip)
    if isinstance(parameter.default, int):
        return st.slider(label, int(low), int(high), int(value), key=key, help=tip)
    return st.slider(label, float(low), float(high), float(value), key=key, help=tip)
