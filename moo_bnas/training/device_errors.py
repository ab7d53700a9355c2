"""Errors of a device, as moo-bnas reports them: in one line, with a remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import torch

from moo_bnas.errors import DeviceError, DeviceMemoryError, MooBnasError

# What torch says of a device where it has no class of error for it.
_NO_MEMORY = re.compile(r"out of memory|DefaultCPUAllocator|bad_alloc|_ALLOC(ATION)?_FAILED")
_NO_DEVICE = re.compile(r"CUDA error|CUDA driver error|cuDNN error|CUBLAS|HIP error")

Result = TypeVar("Result")


def on_device(device: str, work: Callable[[], Result]) -> Result:
    """What `work` returns; the device's errors become ours. What `work` held is free after it.

    Also what torch would keep for later: another worker may be waiting to be alone on the device.
    """
    failure: MooBnasError | None = None
    try:
        result = work()
    except Exception as error:
        failure = _expected(device, error)
        if failure is None:
            raise
    # Only here is the error gone, and with its traceback the frames that hold tensors.
    if type(failure) is not DeviceError:  # after which CUDA does nothing any more
        torch.cuda.empty_cache()
    if failure is not None:
        raise failure
    return result


def _expected(device: str, error: Exception) -> MooBnasError | None:
    """What an error is to be told as, without traceback; None where it was not expected."""
    if isinstance(error, MooBnasError):
        return error.with_traceback(None)
    said = next(iter(str(error).splitlines()), type(error).__name__)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or _NO_MEMORY.search(said):
        return DeviceMemoryError(
            f"{device} has not enough memory left: {said}; start fewer workers on it, or lower "
            "[recipe] batch_size"
        )
    if isinstance(error, torch.AcceleratorError) or _NO_DEVICE.search(said):
        return DeviceError(
            f"{device} failed: {said}; start the worker again, and if it recurs, look at the "
            "device or use another --device"
        )
    return None
