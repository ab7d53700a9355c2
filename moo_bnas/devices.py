"""Errors of devices, told apart without importing torch."""

from __future__ import annotations

import re

from moo_bnas.errors import DeviceError, DeviceMemoryError

# Messages of torch about a device for which it has no class of errors.
_NO_MEMORY = re.compile(r"out of memory|DefaultCPUAllocator|bad_alloc|_ALLOC(ATION)?_FAILED")
_NO_DEVICE = re.compile(r"CUDA error|CUDA driver error|cuDNN error|CUBLAS|HIP error")


def device_error(device: str, error: Exception) -> DeviceError | None:
    """The error of moo-bnas that stands for one of a device; None if it is another error.

    Args:
        device: Name of the device, shown in the error.
        error: What was raised; errors of torch are known by the names of their classes.
    """
    said, kind = next(iter(str(error).splitlines()), type(error).__name__), type(error).__name__
    memory = kind == "OutOfMemoryError" or isinstance(error, MemoryError)
    if memory or _NO_MEMORY.search(said):
        return DeviceMemoryError(
            f"{device} has not enough memory left: {said}; start fewer workers on it, or lower "
            "[recipe] batch_size"
        )
    if kind == "AcceleratorError" or _NO_DEVICE.search(said):
        return DeviceError(
            f"{device} failed: {said}; start the worker again, and if it recurs, look at the "
            "device or use another --device"
        )
    return None
