from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.binarizers import registered


@pytest.fixture(autouse=True)
def _binarizers_of_tests() -> Iterator[None]:
    with registered():
        yield
