"""The short form of `tests/fuzz.py`."""

from __future__ import annotations

import pytest

from tests.fuzz import KINDS, fuzz, originals


@pytest.fixture(scope="module")
def right() -> dict[str, bytes]:
    return originals()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_and_forged_files_are_refused_or_read_as_they_were(
    kind: str, right: dict[str, bytes]
) -> None:
    counts = fuzz(kind, right[kind], number=0, examples=25)
    assert sum(counts.values()) >= 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_and_forged_files(kind: str, right: dict[str, bytes]) -> None:
    for number in range(1, 20):
        fuzz(kind, right[kind], number, examples=200)
