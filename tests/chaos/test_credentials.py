"""AWS credentials of one minute for a quarter of an hour (LEADLINE_CREDENTIALS_MINUTES): no request may be refused."""

import os

from aws import keys_rotate
from aws import make_signed, task  # noqa: F401 - fixtures


def test_one_minute_keys(make_agent, make_target, make_signed, task):
    minutes = float(os.environ.get("LEADLINE_CREDENTIALS_MINUTES", "15"))
    requests, keys = keys_rotate(make_agent, make_target, make_signed, task, life_s=60, seconds=60 * minutes)
    print(f"{requests} requests with {keys} keys, none refused")
