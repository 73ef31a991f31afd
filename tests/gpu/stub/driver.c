/* Stands in for libcuda.so, the driver, as far as it is asked who it is. */
#include <stdlib.h>
#include <string.h>

int cuInit(unsigned flags) { (void)flags; return 0; }

int cuDriverGetVersion(int *version)
{
    const char *text = getenv("CUDA_STUB_DRIVER");
    *version = text ? atoi(text) : 13000;
    return 0;
}

int cuDeviceGetCount(int *count) { const char *text = getenv("CUDA_STUB_DEVICES"); *count = text ? atoi(text) : 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) { (void)device; strncpy(name, "CUDA stub", (size_t)length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = (size_t)139 << 30; return 0; }

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    (void)device;
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 132;
    return 0;
}

int cuDeviceGetPCIBusId(char *bus, int length, int device) { (void)device; strncpy(bus, "00000000:01:00.0", (size_t)length); return 0; }
