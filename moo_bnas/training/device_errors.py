"""Errors of a device, as moo-bnas reports them: in one line, with a remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from moo_bnas.devices import device_error
from moo_bnas.errors import DeviceError, MooBnasError

Result = TypeVar("Result")


def on_device(device: str, work: Callable[[], Result]) -> Result:
    """Calls `work`; turns errors of the device into errors of moo-bnas.

    Memory that `work` held is free afterwards, including what torch would cache for later: another
    worker may be waiting to be alone on the device.

    Args:
        device: Name of the device, shown in errors.
        work: What to call.

    Returns:
        What `work` returns.

    Raises:
        DeviceMemoryError: If the device has not enough memory left.
        DeviceError: If the device fails in another way.
        Exception: Whatever else `work` raises.
    """
    failure: MooBnasError | None = None
    try:
        result = work()
    except Exception as error:
        failure = _expected(device, error)
        if failure is None:
            raise
    # Only here does the error no longer exist, nor its traceback, whose frames held tensors.
    if type(failure) is not DeviceError:  # after it CUDA does nothing any more
        torch.cuda.empty_cache()
    if failure is not None:
        raise failure
    return result


def _expected(device: str, error: Exception) -> MooBnasError | None:
    """The error to raise instead, without traceback; None if the error was not expected."""
    if isinstance(error, MooBnasError):
        return error.with_traceback(None)
    return device_error(device, error)
