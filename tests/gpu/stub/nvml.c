/* Stands in for libnvidia-ml.so: one GPU that is busy half of the time. */
#include <stddef.h>

typedef void *handle;
static unsigned long long millijoules;

int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, handle *gpu) { *gpu = &millijoules; return bus[0] == '0' ? 0 : 6; }
int nvmlDeviceGetUtilizationRates(handle gpu, unsigned *rates) { (void)gpu; rates[0] = 50; rates[1] = 25; return 0; }
int nvmlDeviceGetMemoryInfo(handle gpu, unsigned long long *memory) { (void)gpu; memory[0] = 139ull << 30; memory[1] = 130ull << 30; memory[2] = 9ull << 30; return 0; }
int nvmlDeviceGetPowerUsage(handle gpu, unsigned *milliwatts) { (void)gpu; *milliwatts = 400000; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(handle gpu, unsigned long long *energy) { (void)gpu; *energy = millijoules += 1500; return 0; }
