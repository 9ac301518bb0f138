"""Parametric heads of animals.

`attributes` says which animal is in the image, `build` how a kind of animal is built, `skull` turns both into
outlines, `relief` into light and shade, `fur` and `markings` into a coat, `features` paints eyes, nose and mouth,
`portrait` puts all of it together. A style chooses the kind of animal.
"""
