"""Exported networks: from the file of a trained network to files that run without moo-bnas.

`folding` makes arrays of a trained network; `packed`, `onnx_file` and `plain` (torch) are what they
are written as. `popcount` runs a packed file, without torch.
"""
