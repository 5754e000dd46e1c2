"""Where the arithmetic happens, in which precision, and from which seed."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from lookalike.errors import EnvironmentFault


@dataclass(frozen=True, slots=True)
class Device:
    """A processor and the precision used on it.

    Attributes:
        name: `cpu` or `cuda`.
        has_bfloat16: Whether matrix products are computed in bfloat16.
    """

    name: str
    has_bfloat16: bool

    def autocast(self) -> torch.autocast:
        """Compute what tolerates it in bfloat16 while the context is open."""
        return torch.autocast(self.name, torch.bfloat16, enabled=self.has_bfloat16)

    def __str__(self) -> str:
        return f"{self.name} in {'bfloat16' if self.has_bfloat16 else 'float32'}"


def choose_device(name: str, precision: str) -> Device:
    """Return the device of that name; `auto` prefers CUDA, and bfloat16 where it is in hardware.

    Raises:
        EnvironmentFault: If CUDA is asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise EnvironmentFault(
            "device 'cuda' was asked for, but this PyTorch finds no CUDA device; "
            "use device 'cpu' or 'auto'"
        )
    chosen = "cuda" if has_cuda and name != "cpu" else "cpu"
    if precision != "auto":
        return Device(chosen, precision == "bfloat16")
    return Device(chosen, torch.cuda.is_bf16_supported() if chosen == "cuda" else _cpu_bfloat16())


def _cpu_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 itself; emulated it is slower than float32."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, lambda: False)()) for probe in probes)


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return a seed for one purpose: the epoch of a stage, the weights of a network.

    Nothing depends on how many random numbers were drawn before, so a run that was killed goes on
    exactly as it would have, and two runs that differ in one stage agree in the others.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Draw all random numbers inside from `seed`, and leave the caller's generators untouched.

    Yields:
        A generator on the CPU with the same seed, for the order of pictures and augmentation.
    """
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with (
        torch.random.fork_rng(devices=cuda),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False),
    ):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)
