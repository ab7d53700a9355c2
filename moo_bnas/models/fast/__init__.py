"""Runs packed networks many times as fast as the numpy reference.

`plan` decides which layers are computed together, and `thresholds` folds what lies between two
binary convs into integers, so that only bits move between them. `lowering` gives the plan memory
and addresses; `kernels` and `convs` run it, with vector code that `vectors` emits for the
`processor`. Only the last four and `network` need numba (`pip install 'moo-bnas[fast]'`).
"""
