"""Fixtures of every test here; see fixtures.py."""

from fixtures import make_agent, make_receiver, make_target, receiver  # noqa: F401
