"""Table II's numbers against literal loops with other libraries, and what must not change them."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from torch import Tensor, nn

from ui2i.errors import DataError
from ui2i.images import to_tensor
from ui2i.metrics import evaluation
from ui2i.metrics.evaluation import Embedded, Evaluation, embed_set, evaluate
from ui2i.metrics.image_sets import ImageSet, find_images, generated, in_memory, of_files
from ui2i.perceptual import Perceptual

pytestmark = pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight")


def pictures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def reference(perceptual: Perceptual) -> nn.Module:
    """The package lpips itself, with the same weights."""
    import lpips

    module: nn.Module = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    module.net.load_state_dict(perceptual.backbone.state_dict())
    return module


@pytest.fixture(scope="module")
def target(perceptual: Perceptual) -> Embedded:
    return embed_set(in_memory(pictures(9, 3)), perceptual)


def measured(perceptual: Perceptual, target: Embedded, **options: int) -> Evaluation:
    return evaluate(in_memory(pictures(11, 1)), in_memory(pictures(11, 2)), target, perceptual, **options)


@torch.no_grad()
def test_lpips_of_inputs_and_pairs_is_the_packages(
    perceptual: Perceptual, target: Embedded, reference: nn.Module
) -> None:
    outputs, inputs = (to_tensor(pictures(11, seed)) for seed in (1, 2))
    found = measured(perceptual, target, seed=4)
    similarity = np.array([reference(a[None], b[None]).item() for a, b in zip(outputs, inputs, strict=True)])
    assert found.lpips_s is not None
    assert found.lpips_s.mean == pytest.approx(similarity.mean(), abs=2e-6)
    assert found.lpips_s.sem == pytest.approx(similarity.std(ddof=1) / np.sqrt(11), abs=2e-6)
    order = np.random.RandomState(4).permutation(11)
    pairs = [(outputs[a : a + 1], outputs[b : b + 1]) for a, b in zip(order[0:10:2], order[1:10:2], strict=True)]
    diversity = np.array([reference(a, b).item() for a, b in pairs])
    assert (found.lpips_d.count, found.lpips_s.count) == (5, 11)
    assert found.lpips_d.mean == pytest.approx(diversity.mean(), abs=2e-6)
    assert found.lpips_d.std == pytest.approx(diversity.std(ddof=1), abs=2e-6)


def test_fd_is_scipys_and_kd_is_sums(perceptual: Perceptual, target: Embedded) -> None:
    with torch.no_grad():
        x = perceptual.embed(to_tensor(pictures(11, 1))).double().numpy()
        y = perceptual.embed(to_tensor(pictures(9, 3))).double().numpy()
    found = measured(perceptual, target)
    mixed = np.cov(x.T) + 1e-9 * np.eye(x.shape[1]), np.cov(y.T) + 1e-9 * np.eye(x.shape[1])
    root = scipy.linalg.sqrtm(mixed[0] @ mixed[1]).real
    shift = np.square(x.mean(0) - y.mean(0)).sum()
    assert found.fd == pytest.approx(shift + np.trace(mixed[0] + mixed[1] - 2 * root), rel=1e-3)
    kernel = [(a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    within = [(part.sum() - np.trace(part)) / (len(part) * (len(part) - 1)) for part in kernel[:2]]
    assert found.kd == pytest.approx(within[0] + within[1] - 2 * kernel[2].mean(), rel=1e-4)
    assert found.fid is None and found.kid is None


@pytest.mark.parametrize("batch_size", [2, 4, 64])
def test_batches_do_not_matter(
    perceptual: Perceptual, target: Embedded, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    expected = measured(perceptual, target)
    monkeypatch.setattr(evaluation, "BATCH_SIZE", batch_size)
    again = embed_set(in_memory(pictures(9, 3)), perceptual)
    assert np.allclose(again.backbone, target.backbone, rtol=1e-4, atol=1e-5)
    found = measured(perceptual, target)
    assert found.lpips_d.mean == pytest.approx(expected.lpips_d.mean, abs=1e-6)
    assert found.lpips_s.mean == pytest.approx(expected.lpips_s.mean, abs=1e-6)
    assert found.fd == pytest.approx(expected.fd, rel=1e-4)
    assert found.outputs_hash == expected.outputs_hash


def test_deterministic_and_the_random_state_is_left_alone(perceptual: Perceptual, target: Embedded) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = measured(perceptual, target)
    torch.manual_seed(1)
    assert measured(perceptual, target) == found
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), before)
    other = measured(perceptual, target, seed=1)
    assert other.lpips_d.mean != found.lpips_d.mean, "other pairs"
    assert other.lpips_s.mean == pytest.approx(found.lpips_s.mean, abs=1e-7)
    assert other.outputs_hash == found.outputs_hash


def test_swapped_sides(perceptual: Perceptual) -> None:
    """Outputs for targets and inputs for outputs: what is symmetric stays, what is not changes."""
    a, b = in_memory(pictures(8, 1)), in_memory(pictures(8, 2))
    forward = evaluate(a, b, embed_set(b, perceptual), perceptual)
    backward = evaluate(b, a, embed_set(a, perceptual), perceptual)
    assert forward.fd == pytest.approx(backward.fd, rel=1e-6)
    assert forward.kd == pytest.approx(backward.kd, rel=1e-6)
    assert forward.lpips_s.mean == pytest.approx(backward.lpips_s.mean, abs=1e-7)
    assert forward.lpips_d.mean != backward.lpips_d.mean
    assert forward.outputs_hash != backward.outputs_hash


def test_outputs_that_are_the_inputs_and_the_target(perceptual: Perceptual) -> None:
    same = in_memory(pictures(8, 1))
    found = evaluate(same, same, embed_set(same, perceptual), perceptual)
    assert found.lpips_s.mean == 0
    assert found.fd == pytest.approx(0, abs=1e-5)
    twins = in_memory(np.repeat(pictures(1, 1), 8, axis=0))
    assert evaluate(twins, None, embed_set(same, perceptual), perceptual).lpips_d.mean == pytest.approx(0, abs=1e-9)


def test_known_features_are_not_computed_again(perceptual: Perceptual, target: Embedded) -> None:
    outputs = in_memory(pictures(9, 1))
    known = embed_set(outputs, perceptual)
    assert evaluate(outputs, None, target, perceptual, embedded=known).fd == pytest.approx(
        evaluate(outputs, None, target, perceptual).fd, rel=1e-6
    )
    others = embed_set(in_memory(pictures(9, 2)), perceptual)  # another set's, to see that they are what counts
    assert evaluate(outputs, None, others, perceptual, embedded=others).fd == pytest.approx(0, abs=1e-5)
    chosen = known.take([4, 0])
    assert chosen.count == 2
    np.testing.assert_array_equal(chosen.backbone, known.backbone[[4, 0]])


def test_outputs_without_inputs(perceptual: Perceptual, target: Embedded) -> None:
    found = evaluate(in_memory(pictures(4, 1)), None, target, perceptual)
    assert found.lpips_s is None
    assert found.lpips_d.count == 2


@pytest.mark.parametrize(("outputs", "inputs", "message"), [(3, 3, "at least 4"), (4, 5, "4 outputs and 5 inputs")])
def test_counts_that_cannot_be(
    perceptual: Perceptual, target: Embedded, outputs: int, inputs: int, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(in_memory(pictures(outputs, 1)), in_memory(pictures(inputs, 2)), target, perceptual)


# Where images come from


def save(folder: Path, images: np.ndarray, suffix: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:02d}.{suffix}")


def test_files_generated_and_in_memory_are_the_same(tmp_path: Path) -> None:
    images = pictures(5, 1)
    save(tmp_path, images)
    files = of_files(list(find_images(tmp_path).values()), 32)
    places = [4, 0, 0]
    assert torch.equal(files.read(places), in_memory(images).read(places))
    latents = torch.arange(5.0)[:, None]

    def synthesize(codes: Tensor) -> Tensor:
        exact = to_tensor(images[codes.flatten().long().numpy()])
        return exact * 1.0 + 1e-3  # within half a level: rounding gives the image back

    made = generated(latents, synthesize)
    assert made.count == 5
    assert torch.equal(made.read(places), in_memory(images).read(places))
    assert made.read(places).max() <= 1


def test_files_are_brought_to_one_size(tmp_path: Path) -> None:
    Image.new("RGB", (80, 40), (255, 0, 0)).save(tmp_path / "wide.png")
    assert of_files([tmp_path / "wide.png"], 32).read([0]).shape == (1, 3, 32, 32)


def test_what_a_folder_holds(tmp_path: Path) -> None:
    save(tmp_path / "inner", pictures(2, 1))
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert list(find_images(tmp_path)) == ["inner/00", "inner/01"]
    save(tmp_path / "inner", pictures(1, 1), "jpg")
    with pytest.raises(DataError, match="have one name"):
        find_images(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="contains no images"):
        find_images(tmp_path / "empty")
    with pytest.raises(DataError, match="is not a folder"):
        find_images(tmp_path / "absent")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"bad\.png is no usable image"):
        of_files([tmp_path / "bad.png"], 32).read([0])


def test_a_set_is_read_in_batches(perceptual: Perceptual, target: Embedded) -> None:
    asked: list[int] = []
    images = pictures(70, 1)

    def read(places: object) -> Tensor:
        asked.append(len(places))  # type: ignore[arg-type]
        return to_tensor(images[np.asarray(places)])

    evaluate(ImageSet(70, read), None, target, perceptual)
    assert max(asked) == evaluation.BATCH_SIZE and sum(asked) == 70
