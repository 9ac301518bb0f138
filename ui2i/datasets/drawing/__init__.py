"""Parametric faces drawn with Pillow and numpy.

`attributes` says who is in the picture, `anatomy`, `hair`, `eyewear` and `clothes` turn that into outlines, `canvas`
turns outlines into pixels, and each file of `styles` paints the same outlines in its own manner.
"""
