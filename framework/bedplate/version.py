"""The version, in one place: the wheel, the provider and the state records read it here."""

__version__ = "0.1.0"
