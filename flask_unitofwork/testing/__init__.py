"""What tests of an app need: isolation from one another."""

from .isolation import isolated

__all__ = ["isolated"]
