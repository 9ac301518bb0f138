"""How many trainings run at once: one by default, however many flows there are."""

import contextlib
from collections.abc import Iterator

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.display import current_display

TRAINING_LIMIT = "ui2i-training"
LEASE_SECONDS = 60.0  # a run that was killed frees its slot after this
_PATIENCE_SECONDS = 15.0  # before people are told that there is a queue; a busy server may need some itself


def ensure_training_limit() -> None:
    """Create the limit, of one training, if it is missing; one that was set otherwise stays as it is."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(TRAINING_LIMIT)
        except ObjectNotFound:
            with contextlib.suppress(ObjectAlreadyExists):  # made by another run meanwhile
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=TRAINING_LIMIT, limit=1))


@contextlib.contextmanager
def training_slot(stage: str) -> Iterator[None]:
    """Hold one of the slots for trainings, waiting for it if need be.

    Raises:
        ConcurrencySlotAcquisitionError: the limit was never created; Prefect by itself would then limit nothing.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_slot(timeout_seconds=_PATIENCE_SECONDS))
        except TimeoutError:
            current_display().message(f"{stage}: waits for another training to end (limit {TRAINING_LIMIT})")
            stack.enter_context(_slot(timeout_seconds=None))
        yield


def _slot(*, timeout_seconds: float | None) -> contextlib.AbstractContextManager[None]:
    return concurrency(
        TRAINING_LIMIT,
        occupy=1,
        strict=True,
        timeout_seconds=timeout_seconds,
        lease_duration=LEASE_SECONDS,
        # Hours of training are not thrown away because the server was away for a minute.
        raise_on_lease_renewal_failure=False,
    )
