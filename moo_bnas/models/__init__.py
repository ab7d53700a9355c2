"""Files of trained networks: how they are written, exported to other formats, and run.

`model_file` is the file of a trained network. `folding` computes from it the arrays that running
the network takes (listed in `arrays`), and `packed`, `onnx_file` and `plain` (torch) are the
formats in which `writing` exports them. Exporters and runtimes know a binarizer by its `encoding`.
`popcount` runs a packed file without torch, and `prediction` runs any of these files on images.
"""
