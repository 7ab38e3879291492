"""The recipe of the starter model: an index of pictures becomes ONNX files. See README.md.

Nothing here is imported by the package.
"""
