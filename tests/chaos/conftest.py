"""The fixtures of the end-to-end tests."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

from fixtures import make_agent, make_receiver, make_target, receiver  # noqa: E402,F401
