"""Figures 4 to 8 of the paper, from the models of a family: what they show, and the measurement behind it.

4 `multi_modal`, 5 `guided`, 6 `directions` with `traits`, 7 and 8 `ablation` with `shared_latents`. How an image is
translated, mixed or moved is `ui2i.translation`'s; here are only the choice of what is shown, the sheets, and numbers.
"""
