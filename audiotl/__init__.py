"""audiotl: an executable study of transfer learning for audio.

Sound flows through the rooms from left to right, and no room imports from its right::

    audio -> frontend -> models (taps) -> embedding -> probes / subsets -> stats -> plots -> report
              datasets ----------------------^
"""

__version__ = "0.1.0"


class AudiotlError(Exception):
    """A user's mistake or a bad input: one sentence that names what, which, and what to do."""
