"""Everything that imports torch in order to train: evaluator, training loop, several GPUs."""
