"""Parametric faces drawn with Pillow and numpy.

`attributes` says who is in the image, `anatomy`, `hair`, `eyewear` and `clothes` turn that into outlines, `canvas`
turns outlines into pixels, and each file of `styles` paints the same outlines in its own manner: `portrait` with the
colours of `oils` and a `brush`, `anime` with `large_eyes` and hair in `locks`. `animals` does the same for the heads of
animals; `subjects` says what there is to draw, and `workers` draw many images side by side.
"""
