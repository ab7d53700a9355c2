from __future__ import annotations

import pytest

from moo_bnas.models.fast.processor import choose

LINUX = "x86_64-unknown-linux-gnu"


@pytest.mark.parametrize(
    ("triple", "features", "name"),
    [
        (LINUX, "+avx2,+avx512f,+avx512vpopcntdq", "AVX-512 VPOPCNTDQ"),
        (LINUX, "+avx2,+avx512f,+avx512bw,+avx512vpopcntdq", "AVX-512 VPOPCNTDQ"),
        (LINUX, "+avx2,+avx512f,+avx512bw,-avx512vpopcntdq", "AVX-512 BW"),
        (LINUX, "+avx2,+avx512f,-avx512vpopcntdq", "AVX2"),
        (LINUX, "+avx,-avx2", "portable loops"),
        (LINUX, "", "portable loops"),
        ("arm64-apple-darwin23", "", "NEON"),
        ("aarch64-unknown-linux-gnu", "+neon", "NEON"),
    ],
)
def test_the_kernels_for_a_processor(triple: str, features: str, name: str) -> None:
    assert choose(triple, features).name == name
