"""audiotl: an executable study of transfer learning for audio.

Sound flows through the rooms from left to right, and no room imports from its right::

    audio -> frontend -> models (taps) -> embedding -> probes / subsets -> stats -> plots -> report
              datasets ----------------------^
"""

__version__ = "0.1.0"


class AudiotlError(Exception):
    """A user's mistake or a bad input: one sentence that names what, which, and what to do."""


def check_known(what: str, name: str, known) -> None:
    """AudiotlError if `name` is not among the `known` ones."""
    if name not in known:
        raise AudiotlError(f"There is no {what} {name!r}; choose among {', '.join(known)}.")
