"""Images as arrays: squares of one size, PNG files, tensors, and plain grids.

On disk and in arrays an image is uint8 RGB (HWC, batches NHWC); inside the networks it is NCHW float32 in [-1, 1].
Torch is imported only by the two functions that need it, so that reading and drawing images starts at once.
"""

import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from ui2i.errors import DataError
from ui2i.files import write_bytes

if TYPE_CHECKING:
    import torch

PNG_LEVEL = 2
"""Of zlib, 0 to 9. Pillow's 6 takes 1.5 to 2.1 times as long, for files of 96 to 104 % of the size."""

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are outside


def center_square(width: int, height: int) -> Box:
    """Return the largest centered square of an image."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def fit_square(
    image: Image.Image, resolution: int, resampling: Image.Resampling = Image.Resampling.LANCZOS
) -> Image.Image:
    """Crop the centered square and resize it to `resolution` pixels with an antialiased filter."""
    # Cropped first: a resize with a box would blend in what lies just outside it.
    square = image.crop(center_square(*image.size))
    return square.resize((resolution, resolution), resampling)


def encode_png(image: UInt8[np.ndarray, "h w 3"] | Image.Image) -> bytes:
    """Return an image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    _as_pillow(image).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def save_png(path: str | os.PathLike[str], image: UInt8[np.ndarray, "h w 3"] | Image.Image) -> None:
    """Write an image as a PNG file, atomically."""
    write_bytes(path, encode_png(image))


def to_tensor(
    images: UInt8[np.ndarray, "n h w 3"] | UInt8[np.ndarray, "h w 3"], device: "torch.device | str" = "cpu"
) -> "Float32[torch.Tensor, 'n 3 h w']":
    """Return images as the networks take them.

    Args:
        images: uint8 RGB, [N, H, W, 3] or [H, W, 3] (taken as N = 1).
        device: a GPU gets the bytes from pinned memory and converts them itself, while the host goes on.

    Returns:
        float32 [N, 3, H, W] in [-1, 1]; on a GPU in channels-last layout.

    Raises:
        DataError: another shape or another type.

    Examples:
        >>> to_tensor(np.full((32, 32, 3), 255, np.uint8))[0, :, 0, 0]
        tensor([1., 1., 1.])
    """
    import torch

    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[-1] != 3:
        raise DataError(
            f"images are {images.dtype} {list(images.shape)}, expected uint8 [N, H, W, 3] or [H, W, 3]; "
            "read them with load_image and np.asarray"
        )
    batch = images if images.ndim == 4 else images[None]
    if torch.device(device).type == "cuda":
        pixels = torch.from_numpy(np.ascontiguousarray(batch)).pin_memory().to(device, non_blocking=True)
        return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1)
    planes = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
    return planes.to(device, torch.float32).div_(127.5).sub_(1)


def to_uint8(images: "Float[torch.Tensor, 'n 3 h w']") -> UInt8[np.ndarray, "n h w 3"]:
    """Return [N, 3, H, W] in [-1, 1] as uint8 [N, H, W, 3], rounded to nearest; values outside are clamped.

    Raises:
        DataError: another shape.

    Examples:
        >>> to_uint8(to_tensor(np.full((1, 32, 32, 3), 7, np.uint8)))[0, 0, 0].tolist()
        [7, 7, 7]
    """
    import torch

    if images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"images have shape {list(images.shape)}, expected [N, 3, H, W]; add the batch dimension")
    levels = images.detach().to(torch.float32).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def grid(images: UInt8[np.ndarray, "n h w 3"], num_columns: int, padding: int = 2) -> UInt8[np.ndarray, "gh gw 3"]:
    """Lay images out row by row on white, `padding` pixels apart."""
    count, height, width, _ = images.shape
    num_rows = -(-count // num_columns)
    step_y, step_x = height + padding, width + padding
    canvas = np.full((max(num_rows * step_y - padding, 0), num_columns * step_x - padding, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // num_columns * step_y, index % num_columns * step_x
        canvas[top : top + height, left : left + width] = image
    return canvas


def grid_cells(image: UInt8[np.ndarray, "gh gw 3"], size: int, padding: int = 2) -> UInt8[np.ndarray, "n h w 3"]:
    """Cut an image that `grid` laid out of square ones into these again, empty places at the end included."""
    step = size + padding
    num_rows, num_columns = ((side + padding) // step for side in image.shape[:2])
    padded = np.pad(image, ((0, padding), (0, padding), (0, 0)))[: num_rows * step, : num_columns * step]
    cells = padded.reshape(num_rows, step, num_columns, step, 3).swapaxes(1, 2)
    return cells[:, :, :size, :size].reshape(-1, size, size, 3)


def _as_pillow(image: Any) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(np.ascontiguousarray(image))
