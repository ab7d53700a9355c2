"""Everything that imports torch in order to train: evaluator, training loop, several GPUs."""

from moo_bnas.extras import need

need("torch", "training")
