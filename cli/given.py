"""What `compare` takes beside its picture: the small version (`--lr`) and other tools' results (`--add`), checked before any work."""

from collections.abc import Iterable
from pathlib import Path

from benchmark import given, given_small
from benchmark.given import Frame
from benchmark.given_small import Upload
from core.errors import UsageError
from core.image import decode, read_file


def small_picture(path: Path | None, original: tuple[int, int], scale: int) -> Upload | None:
    """The file of `--lr`, if there is one. `original` is the picture's width and height. Raises `ImageError`."""
    if path is None:
        return None
    small = Upload(read_file(path), path.name)
    picture = decode(small.source, name=small.name)
    given_small.check((picture.width, picture.height), original, scale)
    return small


def added_results(texts: Iterable[str], frame: Frame) -> list[tuple[str, Upload]]:
    """Name and file of each `--add NAME=FILE`, checked against the sizes that results may have.

    Raises
    ------
    UsageError
        A text is not `NAME=FILE`, or a name is none.
    ImageError
        A file is no picture of such a size.
    """
    results = []
    for text in texts:
        name, equals, path = text.partition("=")
        if not (equals and name.strip() and path):
            raise UsageError(f"Expected --add NAME=FILE, got {text!r}.")
        upload = Upload(read_file(Path(path), at_least=frame.largest), Path(path).name)
        given.read_result(upload, frame)
        results.append((given.clean_name(name), upload))
    if len(results) > given.MAX_RESULTS:
        raise UsageError(f"A comparison takes {given.MAX_RESULTS} added results; got {len(results)}.")
    return results
