"""Damages and forges files of every kind that moo-bnas reads, and sees what comes of it.

    python -m tests.fuzz --minutes 10 --seed 1

A file must be refused with an error of moo-bnas, or be read as the file that it was (a trained
network that was damaged is never run). Nothing may take more than 10 seconds or 1 GB beside what
was taken at the start. A short form is in `tests/test_fuzz.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import resource
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

import moo_bnas
from moo_bnas.data.cache import open_entry
from moo_bnas.data.pixels import read_image
from moo_bnas.definition import load_definition
from moo_bnas.errors import MooBnasError
from moo_bnas.shipped import shipped
from tests.data.test_cache import _folder, _is_right, source
from tests.models.forging import FILES, contents, forged
from tests.models.trained import digits_images, trained

SECONDS = 10
MEMORY = 2**30
IMAGES = ("png", "jpeg", "gif", "webp", "tiff", "bmp", "ppm")
ENTRY = ("labels.npy", "images.npy", "sums.bin", "about.json")
KINDS = (*FILES, *IMAGES, *ENTRY, "definition.toml")

_ODD: list[Any] = [0, 1, -1, 2**31, 2**63, 10**300, 1.5, 1e308, None, True, "", "x", [], {}, [[]]]


@st.composite
def damages(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with bits flipped, cut, or with pieces that are repeated, swapped or replaced."""
    damaged = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(damaged) - 1, 0)))
        match draw(st.sampled_from(("bit", "byte", "cut", "repeat", "insert", "zeros"))):
            case "bit" if damaged:
                damaged[place] ^= 1 << draw(st.integers(0, 7))
            case "byte" if damaged:
                damaged[place] = draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF, 0x39, 0x5B)))
            case "cut":
                del damaged[place : place + draw(st.integers(1, 4096))]
            case "repeat":
                damaged[place:place] = damaged[place : place + draw(st.integers(1, 4096))]
            case "insert":
                damaged[place:place] = draw(st.binary(max_size=32))
            case _:
                damaged[place : place + 8] = bytes(8)
    return bytes(damaged)


@st.composite
def lies(draw: st.DrawFn, content: bytes) -> bytes:
    """A file of a network with a right seal, and a card that was changed at some places."""

    def forge(card: dict[str, Any]) -> None:
        for _ in range(draw(st.integers(1, 3))):
            target: Any = card
            while True:
                keys = list(target) if isinstance(target, dict) else list(range(len(target)))
                if not keys:
                    break
                key = draw(st.sampled_from(keys))
                inside = target[key]
                if isinstance(inside, dict | list) and inside and draw(st.integers(0, 5)):
                    target = inside
                    continue
                if draw(st.booleans()):
                    target[key] = deepcopy(draw(st.sampled_from(_ODD) | st.integers(0, 600)))
                elif isinstance(target, list) and draw(st.booleans()):
                    target.insert(0, deepcopy(target[key]))
                else:
                    del target[key]
                break

    return forged(content, forge)


def originals() -> dict[str, bytes]:
    """A right file of each kind."""
    made = contents(trained("vgg_small dorefa"))
    picture = Image.fromarray(np.arange(24 * 24 * 3, dtype=np.uint8).reshape(24, 24, 3))
    for form in IMAGES:
        file = io.BytesIO()
        picture.save(file, form)
        made[form] = file.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        open_entry(Path(folder), source())
        made |= {name: (_folder(Path(folder)) / name).read_bytes() for name in ENTRY}
    return made | {"definition.toml": shipped()["digits"].read_bytes()}


def reading(kind: str, folder: Path, content: bytes) -> Callable[[], object]:
    """What reads a file of a kind; it returns what is then compared with the right file's."""
    path = folder / (f"image.{kind}" if kind in IMAGES else kind)
    if kind in FILES:
        path.write_bytes(content)
        few = digits_images()[:2]
        return lambda: [one.probabilities.tolist() for one in moo_bnas.predict(path, few)]
    if kind in ENTRY:
        open_entry(folder, source())
        (_folder(folder) / kind).write_bytes(content)
        return lambda: _is_right(open_entry(folder, source()))
    path.write_bytes(content)
    if kind in IMAGES:
        return lambda: read_image(path, 8, 3).shape
    return lambda: load_definition(str(path)).name


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Ends what takes too long or too much memory, with an error that is none of moo-bnas."""

    def late(*_: object) -> None:
        raise AssertionError(f"took more than {SECONDS} seconds")

    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    handler = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Logs nothing: thousands of refused files would fill the log."""
    log = logging.getLogger("moo_bnas")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def fuzz(kind: str, content: bytes, number: int, examples: int) -> dict[str, int]:
    """Tries so many files of a kind.

    Args:
        kind: One of `KINDS`.
        content: A right file.
        number: Seed.
        examples: Number of files.

    Returns:
        How many were refused, and how many were read.
    """
    counts = {"refused": 0, "read": 0}
    with tempfile.TemporaryDirectory() as name:
        expected = reading(kind, Path(name), content)()
    made = st.tuples(damages(content), st.just(value=False))
    if kind in FILES:
        made |= st.tuples(lies(content), st.just(value=True))

    @seed(number)
    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(made)
    def attempt(forgery_and_seal: tuple[bytes, bool]) -> None:
        forgery, is_sealed = forgery_and_seal
        with tempfile.TemporaryDirectory() as name:
            read = reading(kind, Path(name), forgery)
            try:
                with bounded():
                    found = read()
            except MooBnasError as error:
                counts["refused"] += 1
                message = str(error)
                if len(message) > 3000:
                    raise AssertionError("a message without end") from error
                return
        counts["read"] += 1
        # Who sealed another card may have made it say anything; of pixels any may have changed.
        if kind in ENTRY or (kind in FILES and not is_sealed):
            assert found == expected, "read as something else"

    with quiet():
        attempt()
    return counts


def main() -> None:
    warnings.simplefilter("ignore")  # of Hypothesis, on files as arguments
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="minutes for each kind")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first round")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    given_options = parser.parse_args()
    right = originals()
    for kind in given_options.kinds:
        number, total = given_options.seed, {"refused": 0, "read": 0}
        end = time.monotonic() + 60 * given_options.minutes
        while time.monotonic() < end:
            for key, count in fuzz(kind, right[kind], number, 200).items():
                total[key] += count
            number += 1
        line = {"kind": kind, "first_seed": given_options.seed, "last_seed": number - 1, **total}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
