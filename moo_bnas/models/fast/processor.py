"""Which kernels numba compiles for this processor.

numba takes the processor from `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` where these are set, and
its cache of compiled code distinguishes processors, so the choice is a fixed part of each entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from numba.core.registry import cpu_target


@dataclass(frozen=True)
class Path:
    """How sums of a tile, 4 windows x 32 output channels, are computed.

    Attributes:
        name: Name of the path, shown to the user.
        bytes: Size of a vector register; 0: binary layers use no vectors.
        vectors: Vectors of weights per pass over the window, so that all sums stay in registers.
        words: Whether the processor counts the ones of 64-bit words in a vector; otherwise those
            of bytes are counted, with a table of 16 entries that a shuffle looks up.
    """

    name: str
    bytes: int
    vectors: int
    words: bool


PATHS = {
    "avx512": Path("AVX-512 VPOPCNTDQ", bytes=64, vectors=4, words=True),
    "avx512bw": Path("AVX-512 BW", bytes=64, vectors=4, words=False),
    "avx2": Path("AVX2", bytes=32, vectors=2, words=False),
    "neon": Path("NEON", bytes=16, vectors=4, words=False),
    "portable": Path("portable loops", bytes=0, vectors=0, words=False),
}


def choose(triple: str, features: str) -> Path:
    """The path for a processor, as numba describes it.

    Args:
        triple: Target triple, for example `x86_64-unknown-linux-gnu`.
        features: Features in LLVM's notation, for example `+avx2,+fma,-avx512f`.
    """
    has = {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    if {"avx512f", "avx512vpopcntdq"} <= has:
        return PATHS["avx512"]
    if {"avx512f", "avx512bw"} <= has:
        return PATHS["avx512bw"]
    if "avx2" in has:
        return PATHS["avx2"]
    if triple.startswith(("aarch64", "arm64")):
        return PATHS["neon"]
    return PATHS["portable"]


def _chosen() -> Path:
    triple, _name, features = cpu_target.target_context.codegen().magic_tuple()
    return choose(triple, features)


PATH = _chosen()
"""The path for the processor that numba compiles for."""
