"""What makes two evaluations the same one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from moo_bnas.evolution.space import genotype_key

EVALUATION_VERSION = 2
"""Raised whenever a change of training code changes the accuracies that come out."""


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of all that an accuracy depends on beside the genotype."""
    canonical = json.dumps(
        {**parts, "evaluation_version": EVALUATION_VERSION}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def candidate_seed(recipe_seed: int, genotype: Sequence[int]) -> int:
    """The seed of one candidate's weights and order, the same in whichever process it trains."""
    digest = hashlib.sha256(f"{recipe_seed}:{genotype_key(genotype)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits
