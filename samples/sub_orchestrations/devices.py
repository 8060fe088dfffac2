"""The devices: how one is provisioned, whoever wants it."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

from pydantic import BaseModel

import perdure_functions as df

devices = df.Blueprint()

QUICKLY = df.RetryPolicy(timedelta(seconds=1), max_number_of_attempts=3, jitter=0.2)
FIRMWARE = "4.2"


class Device(BaseModel):
    """A device; one whose serial number begins with X refuses our firmware."""

    serial: str


class FirmwareRejectedError(df.NonRetryableError):
    """A device does not take a firmware. Its public attributes travel with the failure, up to whoever asks."""

    def __init__(self, serial: str, firmware: str) -> None:
        super().__init__(f"device {serial} rejects firmware {firmware}")
        self.serial = serial
        self.firmware = firmware


@devices.orchestration_trigger(context_name="context")
async def provision_device(context: df.OrchestrationContext, device: Device) -> str:
    """Flash a device and enrol it; return the name of its certificate."""
    context.set_custom_status("is being flashed")
    await context.call_activity(flash, device, retry_policy=QUICKLY)
    context.set_custom_status("is being enrolled")
    certificate: str = await context.call_activity(enrol, device, retry_policy=QUICKLY)
    context.set_custom_status("is ready")
    return certificate


@devices.activity_trigger(input_name="device")
async def flash(device: Device) -> None:
    """Write the firmware: here the real thing would talk to the device."""
    await work()
    if device.serial.startswith("X"):
        raise FirmwareRejectedError(device.serial, FIRMWARE)


@devices.activity_trigger(input_name="device")
async def enrol(device: Device) -> str:
    """Have a certificate made: here the real thing would call a certificate authority."""
    await work()
    return f"CN={device.serial}"


async def work() -> None:
    """Take as long as the setting STEP_SECONDS says."""
    await asyncio.sleep(float(os.environ.get("STEP_SECONDS", "0")))
