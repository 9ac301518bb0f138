import dataclasses

import pytest
from tiny_project import PARAMS, REPOSITORY, make_project

from experiments.synthetic.settings import synthetic_of
from tasks.project.names import check_name
from tasks.project.params import load_params, parse_params, training_config
from tasks.project.paths import Project, find_project
from tasks.project.register import register_base, register_dataset, register_domain, register_encoder, register_imported
from ui2i.errors import ConfigError
from ui2i.settings import TrainingConfig


def edited(old, new):
    assert old in PARAMS
    return PARAMS.replace(old, new)


def test_the_project_s_own_params_are_valid_and_consistent():
    params = load_params(Project(REPOSITORY))
    assert params.network.img_resolution == params.ingest.img_resolution
    assert set(params.domains) <= set(params.datasets)
    for drawn in synthetic_of(params).values():
        assert drawn.resolution == params.network.img_resolution
    seeds = [drawn.seed for drawn in synthetic_of(params).values()]
    assert len(set(seeds)) == len(seeds), "equal seeds would draw pairs"


def test_every_key_of_the_project_s_own_params_has_a_comment():
    lines = (REPOSITORY / "params.yaml").read_text().splitlines()
    sections = [index for index, line in enumerate(lines) if line and line[0].isalpha()]
    assert len(sections) == 25
    for index in sections:
        assert lines[index - 1].startswith("#"), f"{lines[index]} has no comment above it"


def test_values_reach_their_classes():
    params = parse_params(PARAMS)
    assert params.network.w_dim == 8
    assert params.finetune.total_kimg == 0.008
    assert params.swap.resolutions == (8, 16)
    assert params.domains["cartoon"].modes == ("FC-FT", "FT")
    assert params.datasets["face"].images == "data/raw/face"
    assert synthetic_of(params)["cartoon"].seed == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("z_dim", "zdim", "network has the unknown key 'zdim'"),
        ("swap: {", "swap: {width: 2, ", "swap has the unknown key 'width'"),
        ("swap: {resolutions: [8, 16]}", "swap: {resolution: [8, 16]}", "did you mean 'resolutions'"),
        ("backbone: random", "backbone: alexnet", "perceptual.backbone is 'alexnet'"),
        ("perceptual: {", "perceptuals: {", "did you mean 'perceptual'"),
        ("bases: {}", "bases: {}\nextra: 1", "params.yaml has the unknown key 'extra'"),
        ("bases: {}\n", "", "params.yaml lacks 'bases'"),
        ("bases: {}\n", "bases:\n", "bases is None"),
        ("bases: {}", "bases: {Selfie: {}}", "'Selfie'"),
        ("bases: {}", "bases: {-x: {}}", "'-x'"),
        ("bases: {}", "bases: {12: {}}", "12"),
        ("bases: {}", "bases: {selfie: {}}", "selfie has no images"),
        ("bases: {}", "bases: {face: {}}", "face is named twice"),
        ("bases: {}", "bases: {face: {epochs: 3}}", "bases.face has the unknown key 'epochs'"),
        ("  cartoon: {base", "  anime: {base", "anime has no images"),
        ("base: face", "base: faces", "domains.cartoon.base is 'faces'"),
        ("base: face, ", "", "domains.cartoon lacks 'base', expected base; add it"),
        ("[FC-FT, FT]", "[FC-FT, Ft]", "domains.cartoon.modes.1 is 'Ft', expected one of FC-FT, FT, FreezeD"),
        ("[FC-FT, FT]", "[FC-FT, FC-FT]", "domains.cartoon.modes"),
        ("[FC-FT, FT]", "FT", "domains.cartoon.modes is 'FT'"),
        ("[FC-FT, FT]", "[]", "domains.cartoon.modes is []"),
        ("[FC-FT, FT]}", "[FT], finetune: {total: 1}}", "domains.cartoon.finetune has the unknown key 'total'"),
        ("[FC-FT, FT]}", "[FT], scratch: {total: 1}}", "domains.cartoon.scratch has the unknown key 'total'"),
        ("[FC-FT, FT]}", "[FT], finetune: {freeze_mapping: true}}", "the mode"),
        ("finetune: {", "finetune: {freeze_mapping: true, ", "finetune.freeze_mapping"),
        ("finetune: {total_kimg: 0.008", "finetune: {total_kimg: -1", "total_kimg is -1"),
        ("[8, 16]", "[8, 8]", "swap.resolutions"),
        ("[8, 16]", "[8, true]", "swap.resolutions"),
        ("images: data/raw/face", "images: /data/raw/face", "datasets.face.images"),
        ("images: data/raw/face", "images: ../raw/face", "datasets.face.images"),
        ("images: data/raw/face", "image: data/raw/face", "datasets.face has the unknown key 'image'"),
        ("{images: data/raw/face}", "{}", "datasets.face lacks 'images', expected images; add it"),
        ("checkpoint: data/base/face", "checkpoint: 3", "imported.face.checkpoint"),
        ("seed: 1, ", "", "synthetic.face lacks 'seed'"),
        ("num_images: 2}", "num_images: 0}", "translate.num_images"),
        ("num_images: 4}", "num_images: 3}", "evaluation.num_images is 3"),
        ("drift: {}", "drift: {max_sems: 0}", "drift.max_sems is 0"),
        ('"1": {source: distance}', '"4": {source: distance}', "tables.4 is"),
        ('"1": {source: distance}', '"1": {source: evaluation}', 'expected some of "1": {source: distance}'),
        ("bases: {}", "bases: {", "params.yaml line"),
        ("bases: {}", "bases: {}\nbases: {}", "duplicate key"),
        (PARAMS, "- a\n- b\n", "params.yaml is ['a', 'b']"),
        (PARAMS, "", "params.yaml is None"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(old, new, message):
    with pytest.raises(ConfigError) as error:
        parse_params(edited(old, new))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_is_a_config_error(project):
    project.params_path.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_params(project)


def test_find_project_looks_upwards(project, monkeypatch):
    inner = project.data_dir / "raw"
    inner.mkdir(parents=True)
    assert find_project(inner) == project
    monkeypatch.chdir(inner)
    assert find_project() == project
    with pytest.raises(ConfigError, match="in no project"):
        find_project(project.root.parent)
    with pytest.raises(ConfigError, match="is no folder, expected a project's"):
        find_project(inner / "typo")


def test_the_mode_decides_what_is_frozen():
    params = parse_params(PARAMS)
    assert training_config(params, "cartoon", "FC-FT").freeze_mapping
    assert not training_config(params, "cartoon", "FT").freeze_mapping
    assert not training_config(params, "cartoon", "scratch").freeze_mapping
    freeze_d, freeze_g = (training_config(params, "cartoon", mode) for mode in ("FreezeD", "FreezeG"))
    assert freeze_d == dataclasses.replace(params.finetune, freeze_discriminator_resolution=16)
    assert freeze_g == dataclasses.replace(params.finetune, freeze_generator_resolution=8)


def test_what_a_mode_freezes_can_be_set():
    settings = "freeze_discriminator_resolution: 8, freeze_generator_resolution: 4"
    params = parse_params(edited("[FC-FT, FT]}", f"[FC-FT], finetune: {{{settings}}}}}"))
    config = training_config(params, "cartoon", "FC-FT")
    assert config.freeze_mapping and config.freeze_discriminator_resolution == 8
    assert training_config(params, "cartoon", "FreezeG").freeze_generator_resolution == 4


def test_the_largest_seed_is_as_good_as_any():
    params = parse_params(edited("[FC-FT, FT]}", f"[scratch], finetune: {{seed: {2**32 - 1}}}}}"))
    assert training_config(params, "cartoon", "scratch").seed < 1_000_000


def test_domains_from_scratch_share_no_initial_weights_with_their_base_or_each_other():
    text = edited("[FC-FT, FT]}", "[scratch], finetune: {seed: 5}}\n  anime: {base: face, finetune: {seed: 5}}")
    params = parse_params(text.replace("datasets:\n", "datasets:\n  anime: {images: data/raw/anime}\n"))
    assert training_config(params, "cartoon", "FT").seed == 5
    seeds = {training_config(params, name, "scratch").seed for name in ("cartoon", "anime")}
    assert len(seeds | {5, params.pretrain.seed}) == 4


def test_overrides_apply_to_their_own_model_alone():
    text = edited("[FC-FT, FT]}", "[FT], finetune: {total_kimg: 3}, scratch: {total_kimg: 4}}")
    text = text.replace("bases: {}", "bases: {selfie: {pretrain: {batch_size: 8}}}")
    params = parse_params(text.replace("datasets:\n", "datasets:\n  selfie: {images: data/raw/selfie.zip}\n"))
    assert training_config(params, "cartoon", "FT").total_kimg == 3
    assert training_config(params, "cartoon", "FT").batch_size == params.finetune.batch_size
    assert training_config(params, "cartoon", "scratch").total_kimg == 4
    assert training_config(params, "selfie", "scratch") == TrainingConfig(
        total_kimg=0.008, batch_size=8, snapshot_kimg=0.008
    )
    assert params.finetune.total_kimg == 0.008


@pytest.mark.parametrize(("name", "mode"), [("cartoon", "ft"), ("nobody", "FT"), ("face", "FT")])
def test_training_config_refuses_what_does_not_exist(name, mode):
    with pytest.raises(ConfigError):
        training_config(parse_params(PARAMS), name, mode)


# Editing the file


def added_lines(before, after):
    """Lines of `after` that are not in `before`; everything else must have stayed, in its order."""
    rest = iter(after.splitlines())
    added = []
    for line in before.splitlines():
        for other in rest:
            if other == line:
                break
            added.append(other)
        else:
            raise AssertionError(f"lost the line {line!r}")
    return added + list(rest)


def test_registering_adds_lines_and_moves_nothing(tmp_path):
    project = make_project(tmp_path / "project")
    project.params_path.write_text((REPOSITORY / "params.yaml").read_text())
    before = project.params_path.read_text()
    params = register_domain(
        project, "anime", "face", "data/raw/anime.zip", modes=["FC-FT", "FT"], overrides={"total_kimg": 2.5, "seed": 3}
    )
    assert added_lines(before, project.params_path.read_text()) == [
        "  anime: {images: data/raw/anime.zip}",
        "  anime: {base: face, modes: [FC-FT, FT], finetune: {total_kimg: 2.5, seed: 3}}",
    ]
    assert params == load_params(project)
    assert training_config(params, "anime", "FT").total_kimg == 2.5


def test_registering_into_an_empty_section_keeps_its_comment(project):
    project.params_path.write_text(edited("bases: {}", "bases: {} # none yet"))
    params = register_base(project, "selfie", project.root / "data/raw/selfie", overrides={"total_kimg": 9})
    assert params.bases["selfie"].pretrain == {"total_kimg": 9}
    text = project.params_path.read_text()
    assert "bases:\n  selfie: {pretrain: {total_kimg: 9}} # none yet\nimported:" in text


def test_registering_into_a_section_on_one_line(project):
    text = edited("datasets:\n  face: {images: data/raw/face}\n  cartoon: {images: data/raw/cartoon}\n", "DATASETS\n")
    text = text.replace("DATASETS", "datasets: {face: {images: data/raw/face}, cartoon: {images: data/raw/cartoon}}")
    project.params_path.write_text(text)
    params = register_dataset(project, "anime", "data/raw/anime")
    assert list(params.datasets) == ["face", "cartoon", "anime"]


def test_registering_after_an_entry_of_several_lines_stays_in_front_of_the_next_section_s_comment(project):
    block = "  cartoon:\n    base: face # the only one\n    modes:\n      - FC-FT # frozen\n\n# the end\n"
    project.params_path.write_text(edited("  cartoon: {base: face, modes: [FC-FT, FT]}\n", block))
    register_domain(project, "anime", "face", "data/raw/anime")
    text = project.params_path.read_text()
    assert text.endswith("      - FC-FT # frozen\n  anime: {base: face, modes: [FC-FT]}\n\n# the end\n")


def test_registering_in_a_file_without_a_last_line_end(project):
    project.params_path.write_text(PARAMS.rstrip("\n"))
    assert "anime" in register_domain(project, "anime", "face", "data/raw/anime").domains


def test_registering_in_a_file_of_another_system_keeps_its_line_ends(project):
    before = project.params_path.read_bytes()
    register_encoder(project, "face", {"total_kimg": 1})
    after = project.params_path.read_bytes()
    project.params_path.write_bytes(before.replace(b"\n", b"\r\n"))
    register_encoder(project, "face", {"total_kimg": 1})
    assert project.params_path.read_bytes() == after.replace(b"\n", b"\r\n") != before


def test_registering_what_is_there_changes_nothing(project):
    before = project.params_path.stat()
    register_domain(project, "cartoon", "face", "data/raw/cartoon", modes=["FC-FT", "FT"])
    register_imported(project, "face", "data/base/face")
    assert project.params_path.stat().st_mtime_ns == before.st_mtime_ns
    assert project.params_path.read_text() == PARAMS


def test_other_settings_are_refused_unless_asked_to_replace(project):
    with pytest.raises(ConfigError, match=r"domains\.cartoon with other settings"):
        register_domain(project, "cartoon", "face", modes=["FT"])
    assert project.params_path.read_text() == PARAMS
    params = register_domain(project, "cartoon", "face", modes=["FT"], replace=True)
    assert params.domains["cartoon"].modes == ("FT",)
    assert project.params_path.read_text() == edited("modes: [FC-FT, FT]", "modes: [FT]")


@pytest.mark.parametrize(
    "register",
    [
        lambda project: register_domain(project, "anime", "nobody", "data/raw/anime"),
        lambda project: register_domain(project, "anime", "face"),
        lambda project: register_domain(project, "anime", "face", "data/raw/anime", modes=["fast"]),
        lambda project: register_domain(project, "anime", "face", "data/raw/anime", overrides={"steps": 3}),
        lambda project: register_domain(project, "Anime", "face", "data/raw/anime"),
        lambda project: register_domain(project, "face", "face"),
        lambda project: register_domain(project, "anime", "face", project.root.parent / "anime"),
        lambda project: register_dataset(project, "anime", "../anime"),
        lambda project: register_base(project, "cartoon"),
        lambda project: register_imported(project, "selfie", "data/base/selfie"),
    ],
)
def test_what_would_not_be_valid_is_never_written(project, register):
    with pytest.raises(ConfigError):
        register(project)
    assert project.params_path.read_text() == PARAMS


@pytest.mark.parametrize("name", ["123", "08", "1e5", "0x1f", "0b1", "2024-01-01", "true", "null", "no", "off", "y"])
def test_names_are_text_for_every_reader_of_yaml(name):
    with pytest.raises(ConfigError, match=f"has the name {name}, which YAML takes for"):
        check_name(name, where="the dataset")


def test_names_have_a_length():
    for name in ("cartoon", "1-2", "3d", "e5", "x" * 64):
        check_name(name, where="the dataset")
    with pytest.raises(ConfigError, match="not beginning with a dash, at most 64; rename it"):
        check_name("x" * 65, where="the dataset")
