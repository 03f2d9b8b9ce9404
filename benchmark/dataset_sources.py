"""From what a person names to a set of pictures."""

from pathlib import Path

from benchmark import hub_datasets
from benchmark.datasets import Dataset, open_folder


def open_dataset(named: str) -> Dataset:
    """The set that a person means: a folder where there is one, else a set of the Hugging Face hub.

    Parameters
    ----------
    named:
        A path, `owner/name`, or the name of a usual benchmark such as `Set5`.

    Raises
    ------
    core.errors.AppError
        There is no such folder, or the set can't be fetched.
    """
    path = Path(named).expanduser()
    hub_id = hub_datasets.dataset_id(named)
    if path.exists() or hub_id is None:
        return open_folder(path)
    return open_folder(hub_datasets.fetch(hub_id), name=hub_id.partition("/")[2])
