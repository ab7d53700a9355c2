"""Files of trained networks: written, exported to other formats, and run.

`model_file` is the file of a trained network. `folding` makes arrays of it that only run;
`packed`, `onnx_file` and `plain` (torch) are what these are written as. `popcount` runs a packed
file without torch, and `prediction` runs any of them on images.
"""
