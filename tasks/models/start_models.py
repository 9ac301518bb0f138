"""The earlier model of a domain with which a fine-tuning goes on (`domains.<name>.start`)."""

from typing import TYPE_CHECKING

from tasks.models.model_folder import read_model
from tasks.models.model_training import StartModel
from tasks.project.paths import Project
from tasks.project.sections import Domain
from ui2i.errors import CheckpointError
from ui2i.files import sha256_file
from ui2i.model_files import GENERATOR_FILE

if TYPE_CHECKING:
    from ui2i.networks.generator import Generator


def start_model(project: Project, domain: Domain, base: "Generator | None", *, device: str) -> StartModel | None:
    """Return the model that a domain's training goes on with; None: it begins with the base.

    Args:
        base: the domain's, whose mapping network a model of the mode FC-FT must have; None: it is not made yet.

    Raises:
        CheckpointError: it is missing, damaged, not the one that `params.yaml` names, of a mode that the domain does
            not have, or of another base.
    """
    if domain.start is None:
        return None
    from ui2i.translation import check_family

    folder = project.root / domain.start.model
    generator, discriminator, card = read_model(folder, device=device)
    found = sha256_file(folder / GENERATOR_FILE)
    if found != domain.start.sha256:
        raise CheckpointError(
            f"{folder / GENERATOR_FILE} has the SHA-256 {found}, expected {domain.start.sha256} as start.sha256 says; "
            "write that of the model that is meant"
        )
    if card.mode not in domain.modes:
        raise CheckpointError(
            f"{folder} was trained as {card.mode}, expected one of the domain's modes ({', '.join(domain.modes)}); "
            "name a model of them, or add the mode"
        )
    if card.mode == "FC-FT" and base is not None:
        check_family(base, {str(folder): generator})
    return StartModel(networks=(generator, discriminator), mode=card.mode, hash=found, images_seen=card.images_seen)
