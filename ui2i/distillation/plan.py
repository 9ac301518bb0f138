"""What a distillation would do and cost, from a batch of pairs and a few real steps: for `--dry-run`."""

import dataclasses
import time

from ui2i.distillation.card import TranslatorCard
from ui2i.distillation.pairs import PairMaker
from ui2i.distillation.training import Domains, TranslatorTrainer
from ui2i.networks.generator import Generator
from ui2i.perceptual import Perceptual
from ui2i.settings import TranslatorConfig
from ui2i.training.watching import duration

TRIED_PAIRS, TRIED_STEPS = 32, 4


def plan_distillation(
    source: Generator,
    target: Generator,
    real: Domains | None,
    perceptual: Perceptual,
    config: TranslatorConfig,
    card: TranslatorCard,
) -> str:
    """Return in lines what the training of a translator takes. Nothing is written.

    Raises:
        ConfigError, CheckpointError: as the training.
    """
    tried = dataclasses.replace(config, num_held_out=TRIED_PAIRS)
    maker = PairMaker(source, target, tried, source_hash=card.source_hash, target_hash=card.target_hash)
    start = time.perf_counter()
    pairs = maker.held_out()
    pair_seconds = (time.perf_counter() - start) / TRIED_PAIRS
    trainer = TranslatorTrainer(pairs, real, perceptual, config, card)
    trainer.advance()  # to warm up
    start = time.perf_counter()
    for step in range(TRIED_STEPS):
        trainer.step = step % 2 * (trainer.num_steps - 1)  # without the discriminator, and with it
        trainer.advance()
    step_seconds = (time.perf_counter() - start) / TRIED_STEPS
    making, training = config.num_pairs * pair_seconds, trainer.num_steps * step_seconds
    num_parameters = sum(parameter.numel() for parameter in trainer.translator.parameters())
    num_bytes = config.num_pairs * 2 * 3 * card.img_resolution**2
    lines = {
        "pairs": f"{config.num_pairs:,} of {card.img_resolution} px, {num_bytes / 1e6:,.0f} MB, kept for later runs",
        "training": f"{config.total_kimg:g} thousand pairs in {trainer.num_steps:,} steps of {config.batch_size}",
        "parameters": f"{num_parameters:,}, a file of {2e-6 * num_parameters:.1f} MB",
        "time": f"{duration(making + training)}, of which {duration(making)} for the pairs, as tried just now",
    }
    return "\n".join(f"{name:<11} {line}" for name, line in lines.items())
