"""Generated programs run here and nowhere else: in children that are watched, limited and never believed."""

from deltanas.sandbox.calibration import Calibration, keep_calibration, stored_calibration, this_machine
from deltanas.sandbox.cluster import RayPool
from deltanas.sandbox.device_pool import DevicePool, cuda_devices
from deltanas.sandbox.exported import Exported, Weight
from deltanas.sandbox.host import kept_warm
from deltanas.sandbox.pool import LocalPool, Pool, cores

__all__ = [
    "Calibration",
    "DevicePool",
    "Exported",
    "LocalPool",
    "Pool",
    "RayPool",
    "Weight",
    "cores",
    "cuda_devices",
    "keep_calibration",
    "kept_warm",
    "stored_calibration",
    "this_machine",
]
