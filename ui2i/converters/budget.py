"""The budget for reading one foreign file, counted for the whole file with every stream embedded in it.

Bounds on single opcodes let a file multiply: a list that is made a set again and again, a text that is encoded again
and again, a stream that is read again and again, each by a reference of two bytes. So everything that is made is
charged to one account, in proportion to the file's size. Real files spend a hundredth of it.
"""

from ui2i.converters.inert import RefusedError

MAX_OPCODES = 200_000  # the largest real checkpoint, 1024 px with optimisers, has about 50,000
WORK_PER_FILE_BYTE = 32  # an opcode of a byte or two makes an element of a list (8 bytes) or of a dict (64)
WORK_FREE, WORK_MAX = 1 << 20, 256 << 20
ELEMENT_BYTES, HASHED_BYTES = 8, 64  # of a list or tuple; of a set or dict, hashing included

# A tensor that many names share is counted once a name: room for that, and for files that are small altogether.
TENSOR_BYTES_PER_FILE_BYTE = 4
TENSOR_BYTES_FREE = 64 << 20

FORGED = "it is forged: fetch it from its publisher"


class Budget:
    """The account of one file."""

    def __init__(self, file_bytes: int):
        self.opcodes = 0
        self.work = 0
        self.tensor_bytes = 0
        self.max_work = min(WORK_PER_FILE_BYTE * file_bytes, WORK_MAX) + WORK_FREE
        self.max_tensor_bytes = TENSOR_BYTES_PER_FILE_BYTE * file_bytes + TENSOR_BYTES_FREE

    def opcode(self) -> None:
        """Count an opcode of a pickle."""
        self.opcodes += 1
        if self.opcodes > MAX_OPCODES:
            raise RefusedError(
                f"has more than {MAX_OPCODES:,} pickle opcodes, those of embedded streams and of repeated ones "
                f"included, expected about 50,000; {FORGED}"
            )

    def make(self, num_bytes: int) -> None:
        """Count bytes, before they are made."""
        self.work += num_bytes
        if self.work > self.max_work:
            raise RefusedError(
                f"makes more than {self.max_work:,} bytes of lists, texts and dictionaries out of few, expected about "
                f"its own size; {FORGED}"
            )

    def list_elements(self, count: int) -> None:
        """Count elements of a list or tuple."""
        self.make(ELEMENT_BYTES * count)

    def hash_elements(self, count: int) -> None:
        """Count elements of a set or dictionary."""
        self.make(HASHED_BYTES * count)

    def claim_tensor(self, num_bytes: int) -> None:
        """Count what a tensor would take."""
        self.tensor_bytes += num_bytes
        if self.tensor_bytes > self.max_tensor_bytes:
            raise RefusedError(
                f"claims more than {self.max_tensor_bytes >> 20:,} MiB of tensors, expected about its own size; "
                f"{FORGED}"
            )
