"""Fingerprints: evaluations with equal fingerprint and genotype are the same evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from moo_bnas.evolution.space import genotype_key

EVALUATION_VERSION = 2
"""Increased whenever a change of the training code changes accuracies."""


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of all that an accuracy depends on, except the genotype."""
    canonical = json.dumps(
        {**parts, "evaluation_version": EVALUATION_VERSION}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def candidate_seed(recipe_seed: int, genotype: Sequence[int]) -> int:
    """The seed of a candidate's initial weights and order of images, the same in every process."""
    digest = hashlib.sha256(f"{recipe_seed}:{genotype_key(genotype)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits
