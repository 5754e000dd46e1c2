"""Every exception that Lookalike raises on purpose.

Messages say what was wrong, what was given and what to do, in this order and on one line, so that
the command line can print them as they are. `exit_code` is the process exit code of the error::

    LookalikeError                    2   (anything a caller can put right)
    ├── UsageError                    2   an argument that makes no sense (also a ValueError)
    ├── ImageError                    2   a file that is no readable image
    │   └── ImageLimitError           2   an image larger than the limits that were set
    ├── DatasetError                  2   a data set that is missing, empty or contradicts itself
    ├── EnvironmentFault              3   the machine: disk full, no permission
    │   └── MissingExtraError         3   an optional dependency is not installed
    ├── NotACollectionError          10
    ├── CollectionLockedError        11   another process writes to it
    └── MismatchError                12   format version, model or dimension differ
        ├── ModelError               12   a model folder that is damaged or of the wrong shape
        └── DamagedCollectionError   12   a collection whose files contradict each other
            └── IndexUnavailableError 12  a derived index to be built again
"""


class LookalikeError(Exception):
    """Root of all errors raised on purpose by this package."""

    exit_code = 2


class UsageError(LookalikeError, ValueError):
    """An argument or option whose value makes no sense."""


class ImageError(LookalikeError):
    """A file or byte string that cannot be read as an image.

    Attributes:
        reason: Why, in a few words and without the name of the file.
    """

    def __init__(self, reason: str, name: str | None = None) -> None:
        super().__init__(f"{name}: {reason}" if name else reason)
        self.reason = reason


class ImageLimitError(ImageError):
    """An image with more bytes or pixels than allowed; with higher limits it may be read."""


class DatasetError(LookalikeError):
    """A data set that is missing, empty, or whose parts do not fit each other."""


class EnvironmentFault(LookalikeError):
    """The machine stands in the way: disk full, no permission, no memory."""

    exit_code = 3


class MissingExtraError(EnvironmentFault):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed; "
            f"install it with: pip install 'lookalike[{extra}]'"
        )


class NotACollectionError(LookalikeError):
    """The path holds no Lookalike collection."""

    exit_code = 10


class CollectionLockedError(LookalikeError):
    """Another process is writing to the collection."""

    exit_code = 11


class MismatchError(LookalikeError):
    """Versions, models or dimensions that do not belong together."""

    exit_code = 12


class ModelError(MismatchError):
    """A model folder that is incomplete, damaged, or of another shape than its card says."""


class DamagedCollectionError(MismatchError):
    """A collection whose stored parts contradict each other; `verify` tells which."""


class IndexUnavailableError(DamagedCollectionError):
    """An index that is missing, damaged, or made for something else; it is to be built again."""
