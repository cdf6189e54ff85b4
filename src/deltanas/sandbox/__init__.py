"""Generated programs run here and nowhere else: in children that are watched, limited and never believed."""

from deltanas.sandbox.calibration import Calibration, keep_calibration, stored_calibration, this_machine
from deltanas.sandbox.cluster import RayPool
from deltanas.sandbox.device_pool import DevicePool, cuda_devices
from deltanas.sandbox.exported import Exported, Weight
from deltanas.sandbox.host import ForkServer, kept_warm, require_tight
from deltanas.sandbox.judge import answered, failed_as, object_of, printable
from deltanas.sandbox.kept import KeptTrainings
from deltanas.sandbox.layers import Bounds
from deltanas.sandbox.pool import LocalPool, Pool, cores
from deltanas.sandbox.secret import machine_secret
from deltanas.sandbox.supervise import Ended, Limits, run_alone

__all__ = [
    "Bounds",
    "Calibration",
    "DevicePool",
    "Ended",
    "Exported",
    "ForkServer",
    "KeptTrainings",
    "Limits",
    "LocalPool",
    "Pool",
    "RayPool",
    "Weight",
    "answered",
    "cores",
    "cuda_devices",
    "failed_as",
    "keep_calibration",
    "kept_warm",
    "machine_secret",
    "object_of",
    "printable",
    "require_tight",
    "run_alone",
    "stored_calibration",
    "this_machine",
]
