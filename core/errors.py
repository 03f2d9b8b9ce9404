"""Every error that a person may see.

    AppError
    ├── UsageError          a wrong argument, option or combination of them
    │   └── UnknownIdError      an id that no registry entry has
    ├── ImageError          a picture that can't be accepted
    ├── WeightsError        a weight file that is missing, damaged or can't be fetched
    │   └── FetchCancelledError     somebody stopped its download (core.weight_sources)
    ├── ModelFileError      a model file of the user's own that can't be added
    │   └── CheckCancelledError     somebody stopped its check
    ├── UnavailableError    an upscaler or runtime that can't run here
    ├── ModelError          a model that ran and gave no usable picture
    │   └── OutOfMemoryError    it needed more memory than there is
    ├── BusyError           the queue is full
    └── StoreError          the store of dataset runs can't be used: damaged, newer, read-only, full, or locked

The message of an `AppError` is one line for the person in front of the screen: what was expected, what was got, what to
do. Anything that is not an `AppError` is a defect: it is logged with its traceback and shown as "Internal error".
"""


class AppError(Exception):
    """Base of all errors whose text is written for people."""


class UsageError(AppError):
    """An argument that can't be used as given."""


class UnknownIdError(UsageError):
    """An id that is not registered; the text suggests the nearest one."""


class ImageError(AppError):
    """A picture that is not accepted: type, damage, size or metadata."""


class WeightsError(AppError):
    """A weight file that is missing, damaged, or could not be fetched."""


class ModelFileError(AppError):
    """A model file of the user's own that can't be added: it holds code, is damaged, too large, or no image upscaler."""


class CheckCancelledError(ModelFileError):
    """The person stopped the check of a model file."""


class UnavailableError(AppError):
    """An upscaler or a runtime that can't run on this machine; the text says why and what helps."""


class ModelError(AppError):
    """A model that was run and gave no usable picture (for example NaN)."""


class OutOfMemoryError(ModelError):
    """A model that needed more memory than its limit."""


class BusyError(AppError):
    """The queue is full; trying again later helps."""


class StoreError(AppError):
    """The store of dataset runs can't be read or written; what was saved before stays."""
