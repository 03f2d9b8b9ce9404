"""What the README says is so."""

import doctest
from pathlib import Path

import pytest

import upscalers
from core.weights import WeightFile
from metrics import METRICS
from metrics.catalogue import with_table as with_metrics
from upscalers.catalogue import with_table

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_table_of_upscalers_is_the_registry() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text) == text, "run `make readme`"
    for spec in upscalers.registry():
        assert f"| `{spec.id}` |" in text


def test_the_table_of_metrics_is_the_registry() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_metrics(text) == text, "run `make readme`"
    for metric in METRICS:
        assert f"| `{metric.id}` | {metric.name} |" in text


def test_the_examples_work() -> None:
    failures, tried = doctest.testfile(str(README), module_relative=False)
    assert tried >= 3
    assert failures == 0


def test_the_example_in_the_docstring_works() -> None:
    failures, tried = doctest.testmod(upscalers)
    assert tried >= 2
    assert failures == 0


def test_the_starter_weights_are_as_small_as_promised() -> None:
    from cli.weights import STARTER

    files: set[WeightFile] = {
        file for name in STARTER for each in upscalers.get(name).weights.values() for file in each if not file.optional
    }
    total = sum(file.size_bytes or 10**9 for file in files)
    assert total < 15e6
    assert total / 1e6 == pytest.approx(13, abs=0.6)
