"""What a translator's training sees at each step, what it averages, and what a state to go on from must agree with."""

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from tiny_translators import CARD, CONFIG, equal, train
from tiny_translators import family as family
from tiny_translators import pairs as pairs
from tiny_translators import real as real

from ui2i.distillation import training
from ui2i.distillation.pairs import Pairs
from ui2i.distillation.training import Domains, TranslatorTrainer
from ui2i.perceptual import Perceptual


class Flat:
    """Images of one level of grey, in place of a prepared dataset."""

    def __init__(self, level: int) -> None:
        self.level, self.hash = level, str(level)

    def __len__(self) -> int:
        return 5

    def images(self, chosen: np.ndarray) -> np.ndarray:
        return np.full((len(chosen), 32, 32, 3), self.level, np.uint8)


DARK, BRIGHT = Flat(10), Flat(250)


def trainer_of(pairs: Pairs, perceptual: Perceptual, real: Any = (DARK, BRIGHT), **settings: Any) -> TranslatorTrainer:
    config = dataclasses.replace(CONFIG, adversarial_weight=0.5, **settings)
    return TranslatorTrainer(pairs, real, perceptual, config, CARD)


@pytest.mark.parametrize(("step", "decay"), [(0, 0.1), (30, 31 / 40), (10_000, 0.995)])
def test_the_averaged_weights_follow_at_first_fast(
    pairs: tuple[Pairs, Pairs], perceptual: Perceptual, step: int, decay: float
) -> None:
    trainer = trainer_of(pairs[0], perceptual)
    before = [parameter.clone() for parameter in trainer.averaged.parameters()]
    trainer.step = step
    with torch.no_grad():
        for parameter in trainer.translator.parameters():
            parameter.add_(1)
    trainer._average()
    for old, averaged, trained in zip(
        before, trainer.averaged.parameters(), trainer.translator.parameters(), strict=True
    ):
        torch.testing.assert_close(averaged, decay * old + (1 - decay) * trained)


def test_the_average_is_what_is_kept(pairs: tuple[Pairs, Pairs], real: Domains, perceptual: Perceptual) -> None:
    trainer = TranslatorTrainer(pairs[0], real, perceptual, dataclasses.replace(CONFIG, total_kimg=0.016), CARD)
    while trainer.step < trainer.num_steps:
        trainer.advance()
    kept = train(pairs, real, perceptual, total_kimg=0.016).translator
    assert equal(kept, trainer.averaged.half().float()) and not equal(kept, trainer.translator.half().float())


def test_the_order_of_the_pairs_follows_from_the_seed(
    pairs: tuple[Pairs, Pairs], perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    batch = Pairs.batch
    monkeypatch.setattr(Pairs, "batch", lambda own, places: seen.append(list(map(int, places))) or batch(own, places))

    def first_epoch(seed: int) -> tuple[list[int], torch.Tensor]:
        seen.clear()
        trainer = trainer_of(pairs[0], perceptual, seed=seed)
        for trainer.step in range(3):
            trainer._paired(torch.Generator())
        return [place for places in seen for place in places], trainer.translator.inlet.weight.detach()

    (one, weights), (other, other_weights) = first_epoch(0), first_epoch(1)
    assert sorted(one) == sorted(other) == list(range(24)), "each pair once"
    assert one != other and one != sorted(one) and first_epoch(0)[0] == one
    assert not torch.equal(weights, other_weights)


def test_each_step_of_each_seed_draws_maps_of_its_own(
    pairs: tuple[Pairs, Pairs], perceptual: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[torch.Tensor] = []
    draw = training.draw_warps
    monkeypatch.setattr(training, "draw_warps", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    for seed in (0, 1):
        trainer = trainer_of(pairs[0], perceptual, seed=seed, warp_share=1.0)
        for _ in range(2):
            trainer.advance()
    assert len(torch.stack(drawn).flatten(1).unique(dim=0)) == 4


def test_unpaired_inputs_are_the_source_s_and_real_images_the_target_s(
    pairs: tuple[Pairs, Pairs], perceptual: Perceptual
) -> None:
    trainer = trainer_of(pairs[0], perceptual, warp_share=0.0)
    trainer.step = trainer.num_steps // 2
    inputs, targets = trainer._unpaired(torch.Generator().manual_seed(0))
    assert (len(inputs), len(targets)) == (4, 12), "as many real images as the discriminator sees translations"
    assert inputs.unique().tolist() == pytest.approx([10 / 127.5 - 1])
    assert targets.unique().tolist() == pytest.approx([250 / 127.5 - 1])


def test_a_state_is_of_its_pairs_images_backbone_and_settings(
    pairs: tuple[Pairs, Pairs], perceptual: Perceptual
) -> None:
    made, other_backbone = pairs[0], copy.deepcopy(perceptual)
    other_backbone.weights_hash = "other"
    settings = trainer_of(made, perceptual).settings
    others = {
        "pairs": trainer_of(dataclasses.replace(made, identity="other"), perceptual),
        "source": trainer_of(made, perceptual, (Flat(11), BRIGHT)),
        "target": trainer_of(made, perceptual, (DARK, Flat(11))),
        "order": trainer_of(made, perceptual, (BRIGHT, DARK)),
        "backbone": trainer_of(made, other_backbone),
        "seed": trainer_of(made, perceptual, seed=1),
        "rate": trainer_of(made, perceptual, learning_rate=0.1),
    }
    assert not [name for name, trainer in others.items() if trainer.settings == settings]
    assert trainer_of(made, perceptual, snapshot_kimg=1.0, num_held_out=9).settings == settings
    alone = dataclasses.replace(CONFIG, adversarial_weight=0)
    without = [TranslatorTrainer(made, real, perceptual, alone, CARD).settings for real in ((DARK, BRIGHT), None)]
    assert without[0] == without[1], "where images of the domains count for nothing"
