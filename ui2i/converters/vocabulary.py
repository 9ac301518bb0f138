"""The names that may occur in checkpoints, and what each describes. Any other name makes the file refused.

These are all that the files of rosinality's and NVIDIA's tools contain, with the versions of torch and numpy that
people wrote them with.
"""

import struct
from collections.abc import Callable
from typing import Any

from ui2i.converters.budget import Budget
from ui2i.converters.inert import Bystander, Global, PersistentObject, RefusedError, SkippedText, hashable
from ui2i.converters.numpy_arrays import ARRAY
from ui2i.converters.tensor_views import STORAGE_DTYPES, Storage, TensorView, tensor_view
from ui2i.untrusted import shown

_NUMPY_SCALARS = {"f8": "d", "f4": "f", "i8": "q", "i4": "i", "u8": "Q", "b1": "?"}  # numpy's code -> struct's


class TorchVocabulary:
    """Names in files of torch.

    Args:
        budget: of the whole file.
        find_storage: returns the storage outside the pickle for a type's name, a key and a number of elements; None:
            there is none outside.
        read_embedded: returns the storage that a byte string describes; None: there must be none.
    """

    def __init__(
        self,
        budget: Budget,
        find_storage: Callable[[str, str, int], Storage] | None = None,
        read_embedded: Callable[[memoryview, Budget], Storage] | None = None,
    ):
        self.find_storage = find_storage
        self.read_embedded = read_embedded
        self.budget = budget

    def check(self, name: Global) -> None:
        """Raise RefusedError unless `name` may occur."""
        if name.module.startswith("dnnlib.tflib"):
            raise RefusedError(
                "is a pickle of the TensorFlow version of StyleGAN, expected one of PyTorch; convert it with "
                "`python legacy.py --source FILE --dest NEW.pkl` of stylegan2-ada-pytorch, then name NEW.pkl"
            )
        if _canonical(name) not in _BUILDERS and name not in _LABELS:
            raise RefusedError(
                f"names {shown(str(name))}, expected only tensors and plain containers; it may be meant to run code. "
                "If it is your own, save the networks' state_dict, else do not load it with other tools either"
            )

    def build(self, name: Global, arguments: tuple[Any, ...]) -> Any:
        """Return the description of what `name` would make of the arguments."""
        builder = _BUILDERS.get(_canonical(name))
        if builder is None:
            raise RefusedError(f"applies {shown(str(name))}, expected only its name; fetch the file again")
        return builder(self, arguments)

    def persistent(self, identifier: Any) -> Storage:
        """Return the storage that a persistent id names: ('storage', type, key, location, elements, ...)."""
        match identifier:
            case ("storage", Global(name=kind), str(key), _, int(num_elements), *_) if self.find_storage:
                return self.find_storage(kind, key, num_elements)
            case _:
                raise RefusedError(f"refers to {shown(identifier)}, expected a storage; fetch the file again")

    def count(self, view: TensorView) -> TensorView:
        """Add a tensor to the sum of what the file claims."""
        self.budget.claim_tensor(view.num_bytes)
        return view


_Builder = Callable[[TorchVocabulary, tuple[Any, ...]], Any]


def new_storage(kind: str, num_elements: int) -> Storage:
    """Return a storage of a type that torch names, such as FloatStorage.

    Raises:
        RefusedError: the type is unknown, or the number of elements is none.
    """
    if kind not in STORAGE_DTYPES or num_elements < 0:
        raise RefusedError(
            f"has a storage of {shown(kind)} with {shown(num_elements)} elements, expected a typed one such as "
            "FloatStorage; save it again with a released torch"
        )
    return Storage(STORAGE_DTYPES[kind], num_elements)


def _odd(name: str, arguments: tuple[Any, ...]) -> RefusedError:
    return RefusedError(f"gives {name} the arguments {shown(arguments)}, expected torch's own; fetch the file again")


def _dict(_: TorchVocabulary, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if arguments:
        raise _odd("a dictionary", arguments)
    return {}


def _set(vocabulary: TorchVocabulary, arguments: tuple[Any, ...]) -> set[Any]:
    match arguments:
        case (list(items),):
            vocabulary.budget.hash_elements(len(items))
            return {hashable(item) for item in items}
        case _:
            raise _odd("a set", arguments)


def _persistent_object(_: TorchVocabulary, arguments: tuple[Any, ...]) -> PersistentObject:
    """The entry `module_src`, the source text, is left behind here."""
    match arguments:
        case ({"type": "class", "class_name": str(name), "state": dict(state)},):
            return PersistentObject(name, state)
        case _:
            raise _odd("a persistent object", arguments)


def _tensor(vocabulary: TorchVocabulary, arguments: tuple[Any, ...]) -> TensorView:
    match arguments:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
            return vocabulary.count(tensor_view(storage, offset, shape, strides))
        case _:
            raise _odd("a tensor", arguments)


def _parameter(_: TorchVocabulary, arguments: tuple[Any, ...]) -> TensorView:
    match arguments:
        case (TensorView() as view, *_):
            return view
        case _:
            raise _odd("a parameter", arguments)


def _embedded_storage(vocabulary: TorchVocabulary, arguments: tuple[Any, ...]) -> Storage:
    match arguments:
        case (memoryview() as data,) if vocabulary.read_embedded:
            return vocabulary.read_embedded(data, vocabulary.budget)
        case _:
            raise _odd("a storage", arguments)


def _scalar(_: TorchVocabulary, arguments: tuple[Any, ...]) -> Any:
    """A numpy number: NVIDIA's gains are such."""
    match arguments:
        case (
            Bystander(kind="numpy.dtype", value=str(code), state=None | (_, "<" | "|", *_)),
            memoryview() as data,
        ) if code in _NUMPY_SCALARS and struct.calcsize(_NUMPY_SCALARS[code]) == len(data):
            return struct.unpack("<" + _NUMPY_SCALARS[code], data)[0]
        case _:
            return Bystander("a number of numpy")


def _encoded(vocabulary: TorchVocabulary, arguments: tuple[Any, ...]) -> memoryview:
    """Bytes as protocol 2 writes them."""
    match arguments:
        case (str() | SkippedText() as text, "latin1"):
            pass
        case _:
            raise _odd("bytes", arguments)
    encoded = text.data if isinstance(text, SkippedText) else text
    vocabulary.budget.make(2 * len(encoded))  # decoded and encoded
    try:
        return memoryview((encoded if isinstance(encoded, str) else str(encoded, "utf-8")).encode("latin-1"))
    except UnicodeError as error:
        raise _odd("bytes", arguments) from error


def _buffer(_: TorchVocabulary, arguments: tuple[Any, ...]) -> Bystander:
    """An array as protocol 5 writes it, described as protocol 2 would."""
    match arguments:
        case (memoryview() as data, Bystander() as dtype, tuple(shape), str(order)):
            return Bystander(ARRAY, state=(1, shape, dtype, order == "F", data))
        case _:
            raise _odd("an array", arguments)


def _bystander(kind: str) -> _Builder:
    def build(_: TorchVocabulary, arguments: tuple[Any, ...]) -> Bystander:
        return Bystander(kind, arguments[0] if arguments else None)

    return build


_BUILDERS: dict[Global, _Builder] = {
    Global("collections", "OrderedDict"): _dict,
    Global("dnnlib.util", "EasyDict"): _dict,
    Global("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
    Global("torch.storage", "_load_from_bytes"): _embedded_storage,
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    Global("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    Global("torch", "Size"): _bystander("torch.Size"),
    Global("torch", "device"): _bystander("torch.device"),
    Global("argparse", "Namespace"): _bystander("argparse.Namespace"),
    Global("pathlib", "PosixPath"): _bystander("a path"),
    Global("pathlib", "WindowsPath"): _bystander("a path"),
    Global("numpy", "dtype"): _bystander("numpy.dtype"),
    Global("_codecs", "encode"): _encoded,
}
_BUILDERS |= {Global(module, kind): _set for module in ("builtins", "__builtin__") for kind in ("set", "frozenset")}
for _core in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _BUILDERS |= {Global(_core, "scalar"): _scalar, Global(_core, "_reconstruct"): _bystander(ARRAY)}
for _core in ("numpy.core.numeric", "numpy._core.numeric"):
    _BUILDERS |= {Global(_core, "_frombuffer"): _buffer}

# Names that are only mentioned.
_LABELS = {Global("torch", kind) for kind in STORAGE_DTYPES} | {Global("numpy", "ndarray")}

# Packages that carry a copy of NVIDIA's code name it with their own prefix.
_MOVED_MODULES = ("torch_utils.persistence", "dnnlib.util")


def _canonical(name: Global) -> Global:
    for module in _MOVED_MODULES:
        if name.module.endswith("." + module):
            return Global(module, name.name)
    return name
