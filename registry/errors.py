"""What the registry can refuse; `python -m registry` catches these once."""


class RegistryError(Exception):
    """Something the user can act on: the message names the problem and the next step."""
