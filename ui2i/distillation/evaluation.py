"""How well a translator imitates its models, on pairs that it was not trained on."""

import torch

from ui2i.distillation.network import Translator
from ui2i.distillation.pairs import Pairs
from ui2i.metrics.moments import Moments
from ui2i.metrics.ssim import ssim
from ui2i.perceptual import Perceptual

BATCH = 32


@torch.no_grad()
def evaluate_translator(translator: Translator, pairs: Pairs, perceptual: Perceptual) -> dict[str, float]:
    """Return means over pairs and their standard errors, for translations and, as `input_...`, for untranslated inputs.

    Measured are LPIPS, SSIM and the mean absolute difference in [-1, 1] to the target's image.

    Raises:
        DataError: there are fewer than two pairs.
    """
    device = perceptual.heads[0].device
    moments: dict[str, Moments] = {}
    for start in range(0, len(pairs), BATCH):
        places = range(start, min(start + BATCH, len(pairs)))
        inputs, targets = (images.to(device) for images in pairs.batch(places))
        for prefix, images in {"": translator(inputs).clamp(-1, 1), "input_": inputs}.items():
            values = {
                "lpips": perceptual.distance(images, targets),
                "ssim": ssim(images, targets),
                "l1": (images - targets).abs().mean(dim=(1, 2, 3)),
            }
            for name, value in values.items():
                moments.setdefault(prefix + name, Moments()).add(value.double().cpu().numpy())
    estimates = {name: each.estimate() for name, each in moments.items()}
    return {name: each.mean for name, each in estimates.items()} | {f"{k}_sem": e.sem for k, e in estimates.items()}
