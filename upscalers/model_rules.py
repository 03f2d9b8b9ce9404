"""What a model file of unknown origin may be: the limits, and the words in which a file is refused.

The limits are checked before anything is built from a file: a file of 4 KB can ask for a network of 20 GB.
"""

from core.errors import ModelFileError

MAX_BYTES = 2 * 1024**3
"""Of a file, of what it unpacks to, and of the tensors it describes."""
MAX_TENSORS = 20_000
MAX_INDEX = 10_000
"""Largest number in a tensor's name: it stands for a layer, and spandrel builds as many as the largest one says."""
MAX_SCALE = 16
SHOWN_CHARACTERS = 160


def has_code(what: str) -> ModelFileError:
    """A file that would run something when it is opened in the usual way."""
    return ModelFileError(f"Model contains code ({one_line(what)}); refused. Save its state_dict only: the tensors, without a program.")


def is_damaged(why: str) -> ModelFileError:
    """A file whose bytes are not what its format says."""
    return ModelFileError(f"Model is damaged ({one_line(why)}). Get the file again and compare its SHA-256 with the published one.")


def is_unknown(why: str) -> ModelFileError:
    """Tensors or a graph of which no network can be made here."""
    return ModelFileError(f"Architecture not recognised: {one_line(why)}.")


def exceeds_limits(why: str) -> ModelFileError:
    """A file that asks for too much."""
    return ModelFileError(f"Model exceeds load limits: {one_line(why)}.")


def is_no_upscaler(why: str) -> ModelFileError:
    """A network that runs and does something else than enlarging RGB pictures."""
    return ModelFileError(f"Model is no image upscaler: {one_line(why)}.")


def one_line(text: object) -> str:
    """Foreign text made fit for one line of a message: printable, without line breaks, shortened."""
    plain = " ".join("".join(character if character.isprintable() else " " for character in str(text)).split())
    return plain if len(plain) <= SHOWN_CHARACTERS else f"{plain[: SHOWN_CHARACTERS - 1]}…"
