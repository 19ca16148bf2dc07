"""What a gate says."""

from typing import NamedTuple


class Finding(NamedTuple):
    """What a gate saw and what speaks against the version."""

    measured: str
    """One line, whatever the outcome."""
    against: tuple[str, ...] = ()
    on_request: tuple[str, ...] = ()
    """What speaks against it unless the gate's permission was given."""
