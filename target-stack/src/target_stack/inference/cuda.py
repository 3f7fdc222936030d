"""Device memory through the CUDA driver API, by ctypes: the nine calls that it takes, and no framework.

https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__MEM.html and .../group__CUDA__PRIMARY__CTX.html
"""

import ctypes

__all__ = ["CudaError", "CudaMemory", "NoCudaError"]

LIBRARY = "libcuda.so.1"
_OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY of CUresult; 0 is success."""
_PATTERN = 0xA5


class NoCudaError(Exception):
    """There is no driver, or no device that can be used; the message says which."""


class CudaError(Exception):
    """A call failed for any reason but too little memory: the device is lost, or the driver is broken."""


class CudaMemory:
    """Memory of one device. To be used by the thread that made it, whose current context it sets."""

    def __init__(self, *, device: int = 0, library: str = LIBRARY) -> None:
        """Raise NoCudaError where there is nothing to use."""
        try:
            self._driver = ctypes.CDLL(library)
            self._check("cuInit", self._driver.cuInit(0))
            handle, context = ctypes.c_int(), ctypes.c_void_p()
            self._check("cuDeviceGet", self._driver.cuDeviceGet(ctypes.byref(handle), device))
            retain = self._driver.cuDevicePrimaryCtxRetain
            self._check("cuDevicePrimaryCtxRetain", retain(ctypes.byref(context), handle))
            self._check("cuCtxSetCurrent", self._driver.cuCtxSetCurrent(context))
        except OSError:
            msg = f"the CUDA driver ({library}) cannot be loaded"
            raise NoCudaError(msg) from None
        except (AttributeError, CudaError) as error:
            msg = f"there is no CUDA device {device}: {error}"
            raise NoCudaError(msg) from None

    def allocate(self, size: int) -> int | None:
        """Return the address of `size` bytes, None where the device has no memory left; raise CudaError."""
        address = ctypes.c_uint64()
        status = self._driver.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(size))
        if status == _OUT_OF_MEMORY:
            return None
        self._check("cuMemAlloc", status)
        return address.value

    def fill(self, address: int, size: int) -> None:
        """Write all of it, and return when the device has; raise CudaError."""
        fill = self._driver.cuMemsetD8_v2
        self._check("cuMemsetD8", fill(ctypes.c_uint64(address), ctypes.c_ubyte(_PATTERN), ctypes.c_size_t(size)))
        # A device that was lost is noticed here and not at some later call.
        self._check("cuCtxSynchronize", self._driver.cuCtxSynchronize())

    def free(self, address: int) -> None:
        """Give it back; raise CudaError."""
        self._check("cuMemFree", self._driver.cuMemFree_v2(ctypes.c_uint64(address)))

    def _check(self, call: str, status: int) -> None:
        if status:
            name = ctypes.c_char_p()
            self._driver.cuGetErrorName(status, ctypes.byref(name))
            msg = f"{call}: {(name.value or b'unknown error').decode()} ({status})"
            raise CudaError(msg)
