"""Layer swap: the coarse layers of the source in front of the fine layers of the target (paper, Eq. 3, Fig. 8).

Layers are named by resolution: the paper's tables call swaps through 8, 16 and 32 px LS1, LS3 and LS5. There are three
modes, which are different models:

* weights: parameters are replaced. The result is an ordinary generator that can be saved and fine-tuned.
* blend: parameters are mixed, with a share of the source that falls smoothly with resolution (arXiv 2010.05334).
* features: both models run, and the target continues from the source's activations; no parameter moves.

Nothing here asks whether the models are close enough for the result to be an image: without fine-tuning from the
source it is not (Direct-LS in Fig. 8), and being able to show that is part of the method.
"""

from ui2i.layer_swap.features import FeatureSwappedGenerator, synthesize_feature_swap
from ui2i.layer_swap.weights import blend_weights, source_share, swap_weights, swapped_share
from ui2i.networks.generator import Generator
from ui2i.variants import Side, SwapConfig, SwapMode, VariantName

__all__ = [
    "FeatureSwappedGenerator",
    "Side",
    "SwapConfig",
    "SwapMode",
    "VariantName",
    "blend_weights",
    "source_share",
    "swap",
    "swap_weights",
    "swapped_share",
    "synthesize_feature_swap",
]


def swap(source: Generator, target: Generator, config: SwapConfig) -> Generator:
    """Return a new generator with the source's coarse layers in front of the target's fine ones.

    Neither model is changed. In the mode features the result shares both models' parameters and cannot be saved.

    Raises:
        ConfigError: no block has that resolution.
        CheckpointError: the models' synthesis networks differ in architecture.

    Examples:
        >>> from ui2i.settings import NetworkConfig
        >>> tiny = NetworkConfig(img_resolution=32, w_dim=32, channel_max=16)
        >>> source, target = Generator(tiny), Generator(tiny)
        >>> swapped = swap(source, target, SwapConfig(resolution=8)).synthesis
        >>> bool((swapped.b8.conv1.weight == source.synthesis.b8.conv1.weight).all())
        True
        >>> bool((swapped.b16.conv1.weight == target.synthesis.b16.conv1.weight).all())
        True
    """
    if config.mode == "features":
        return FeatureSwappedGenerator(source, target, config.resolution)
    if config.mode == "blend":
        return blend_weights(source, target, config.resolution, config.blend_width, torgb_from=config.torgb_from)
    return swap_weights(source, target, config.resolution, torgb_from=config.torgb_from)
