"""Whether two implementations hold the same networks: images, logits, and the losses of training with gradients.

The losses are computed by `ui2i.losses` for both, through each one's own networks, so that first and second derivatives
of every layer count. Gradients are compared by their norm over all parameters, which have the same scale everywhere.
"""

from collections.abc import Iterable

import torch
from peers import Contestant
from torch import Tensor, nn

from ui2i.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty

VALUE_TOLERANCE = 5e-5  # of images and logits, in float32
# Of losses that are gradients, and of gradients: where an activation is nearly zero, rounding decides which of the
# leaky ReLU's two slopes it gets.
GRADIENT_TOLERANCE = 1e-3
_DERIVED = ("r1", "path_length", "gradient of")


def relative_errors(ours: Contestant, peer: Contestant, z: Tensor, real_img: Tensor) -> dict[str, float]:
    """Return the largest difference of each quantity as a share of its largest value at the peer."""
    expected = quantities(peer, z, real_img)
    return {name: relative_error(value, expected[name]) for name, value in quantities(ours, z, real_img).items()}


def image_errors(ours: Contestant, peer: Contestant, z: Tensor) -> dict[str, float]:
    """Return `relative_errors` of images and their logits alone, which takes less memory."""
    with torch.inference_mode():
        found, expected = ours.images(ours.codes(z)), peer.images(peer.codes(z))
        logits = ours.logits(expected), peer.logits(expected)
    return {"images": relative_error(found, expected), "logits": relative_error(*logits)}


def relative_error(value: Tensor, expected: Tensor) -> float:
    """Return max |value - expected| / max |expected|; NaN where either is."""
    return ((value - expected).abs().max() / expected.abs().max()).item()


def require_equal_values(peer: str, errors: dict[str, float]) -> None:
    """End the program unless every error is within its tolerance: different functions are not worth timing.

    Raises:
        SystemExit: the first quantity that differs, by how much, and what to do.
    """
    for name, error in errors.items():
        tolerance = GRADIENT_TOLERANCE if name.startswith(_DERIVED) else VALUE_TOLERANCE
        if not error <= tolerance:
            raise SystemExit(
                f"{name} of {peer} and of this library differ by {error:.1e} of their size, expected at most "
                f"{tolerance:.0e}; check that the checkout is unchanged"
            )


def quantities(contestant: Contestant, z: Tensor, real_img: Tensor) -> dict[str, Tensor]:
    """Return what both implementations must agree in, each a tensor of any shape."""
    generator = contestant.generator.requires_grad_(True)
    discriminator = contestant.discriminator.requires_grad_(True)
    fake_img = contestant.images(contestant.codes(z))
    fake_logits, real_logits = contestant.logits(fake_img), contestant.logits(real_img)
    losses = {"loss_generator": generator_loss(fake_logits)}
    gradients = {"loss_generator": _gradient_norm(losses["loss_generator"], [generator])}
    losses["loss_discriminator"] = discriminator_loss(real_logits, contestant.logits(fake_img.detach()))
    gradients["loss_discriminator"] = _gradient_norm(losses["loss_discriminator"], [discriminator])
    leaf = real_img.detach().clone().requires_grad_()
    losses["r1"] = r1_penalty(leaf, contestant.logits(leaf))
    gradients["r1"] = _gradient_norm(losses["r1"], [discriminator])
    ws = contestant.codes(z).detach().contiguous().requires_grad_()
    noise = torch.randn(real_img.shape, generator=torch.Generator().manual_seed(0))
    losses["path_length"] = path_lengths(contestant.images(ws), ws, noise[: len(z)])
    gradients["path_length"] = _gradient_norm(losses["path_length"].square().mean(), [generator])
    values = {"images": fake_img, "logits": torch.cat([fake_logits, real_logits])} | losses
    values |= {f"gradient of {name}": norm for name, norm in gradients.items()}
    return {name: value.detach() for name, value in values.items()}


def _gradient_norm(loss: Tensor, modules: Iterable[nn.Module]) -> Tensor:
    parameters = [parameter for module in modules for parameter in module.parameters()]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return torch.stack([gradient.square().sum() for gradient in gradients if gradient is not None]).sum().sqrt()
