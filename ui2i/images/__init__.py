"""Images from outside become squares: every folder, archive, list and file that is read comes in through here.

Sources (`sources`: a folder, zip, tar, Parquet file or list) list their files, `decoding` turns a file's bytes into an
upright image, `framing` cuts its squares out (the center, all of it, or its faces), and `left_out` accounts for
everything that was not taken. `arrays` converts between files, arrays and tensors. What a notebook needs first is here.
"""

from ui2i.images.arrays import PNG_LEVEL as PNG_LEVEL
from ui2i.images.arrays import Box as Box
from ui2i.images.arrays import center_square as center_square
from ui2i.images.arrays import encode_png as encode_png
from ui2i.images.arrays import fit_square as fit_square
from ui2i.images.arrays import grid as grid
from ui2i.images.arrays import grid_cells as grid_cells
from ui2i.images.arrays import save_png as save_png
from ui2i.images.arrays import to_tensor as to_tensor
from ui2i.images.arrays import to_uint8 as to_uint8
from ui2i.images.decoding import SUFFIXES as SUFFIXES
from ui2i.images.decoding import ImageError as ImageError
from ui2i.images.decoding import load_image as load_image
