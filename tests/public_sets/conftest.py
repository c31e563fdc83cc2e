"""The server that the tests of public sets share."""

from collections.abc import Iterator

import pytest
from broken_server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running
