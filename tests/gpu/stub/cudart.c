/* Stands in for libcudart.so: one device whose memory is the host's. Copies are done, kernels are only noted. With it the real CUDA provider of
   ONNX Runtime loads, places nodes, plans memory, copies and launches as it would, on a machine without a GPU; the numbers mean nothing. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include "record.h"

typedef int status;
typedef void *handle;
typedef struct { unsigned x, y, z; } extent;

/* ---- the record ---- */

static long counts[RECORDED_KINDS];
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

#define NAMES (1 << 18)
static struct { const void *function; const char *name; } names[NAMES];

#define LOG (1 << 20)
static const char *launches[LOG];
static long launched;

void stub_count(enum recorded kind) { __atomic_add_fetch(&counts[kind], 1, __ATOMIC_RELAXED); }

void stub_launch(const char *kernel)
{
    stub_count(LAUNCHED);
    pthread_mutex_lock(&gate);
    if (launched < LOG) launches[launched++] = kernel;
    pthread_mutex_unlock(&gate);
}

/* Read by tests. */
long stub_counted(int kind) { return counts[kind]; }
long stub_launched(void) { return launched; }
const char *stub_kernel(long index) { return launches[index]; }

void stub_reset(void)
{
    memset(counts, 0, sizeof counts);
    launched = 0;
}

/* The runs before a recording have written to what is updated in place. Kernels write nothing here, so what tests name is altered instead, in its first byte. */
#define BLOCKS (1 << 12)
static void *blocks[BLOCKS];
static long written;
void stub_write_when_captured(void *block) { if (written < BLOCKS) blocks[written++] = block; }
void stub_forget_written(void) { written = 0; }

/* Where CUDA_STUB_REPORT names a file, the counters of the whole process go there when it ends. */
__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("CUDA_STUB_REPORT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    for (int kind = 0; kind < RECORDED_KINDS; kind++) fprintf(file, "%ld\n", counts[kind]);
    fclose(file);
}

/* ---- who records, and who must not do anything then ---- */

static int capturing;
static pthread_t recorder;

static void use_device(void)
{
    if (__atomic_load_n(&capturing, __ATOMIC_ACQUIRE) && !pthread_equal(recorder, pthread_self())) stub_count(DISTURBED);
}

static size_t place(const void *function) { return ((uintptr_t)function >> 3) * 2654435761u & (NAMES - 1); }

static const char *name_of(const void *function)
{
    for (size_t i = place(function); names[i].function; i = (i + 1) & (NAMES - 1))
        if (names[i].function == function) return names[i].name;
    return "unknown";
}

/* ---- kernels are registered by the static initialisers of a library and launched by address ---- */

handle *__cudaRegisterFatBinary(handle image) { static handle token; (void)image; return &token; }
void __cudaRegisterFatBinaryEnd(handle *image) { (void)image; }
void __cudaUnregisterFatBinary(handle *image) { (void)image; }
void __cudaRegisterVar(void) { }

void __cudaRegisterFunction(handle *image, const char *function, char *device_function, const char *name)
{
    (void)image; (void)device_function;
    size_t i = place(function);
    while (names[i].function && names[i].function != function) i = (i + 1) & (NAMES - 1);
    names[i].function = function;
    names[i].name = name;
}

static __thread struct { extent grid, block; size_t shared; handle stream; } pending;

unsigned __cudaPushCallConfiguration(extent grid, extent block, size_t shared, handle stream)
{
    pending.grid = grid; pending.block = block; pending.shared = shared; pending.stream = stream;
    return 0;
}

status __cudaPopCallConfiguration(extent *grid, extent *block, size_t *shared, handle *stream)
{
    *grid = pending.grid; *block = pending.block; *shared = pending.shared; *stream = pending.stream;
    return 0;
}

status __cudaGetKernel(handle *kernel, handle function) { *kernel = function; return 0; }

static status launch(handle function) { use_device(); stub_launch(name_of(function)); return 0; }

status cudaLaunchKernel(handle f, extent g, extent b, handle *a, size_t s, handle t) { return (void)g, (void)b, (void)a, (void)s, (void)t, launch(f); }
status __cudaLaunchKernel(handle f, extent g, extent b, handle *a, size_t s, handle t) { return (void)g, (void)b, (void)a, (void)s, (void)t, launch(f); }
status cudaLaunchKernelExC(const void *config, handle f, handle *a) { return (void)config, (void)a, launch(f); }
status cudaLaunchHostFunc(handle stream, void (*function)(void *), void *data) { (void)stream; function(data); return 0; }

/* ---- memory ---- */

static status allocate(handle *p, size_t bytes)
{
    use_device();
    stub_count(ALLOCATED);
    *p = NULL;
    return posix_memalign(p, 256, bytes ? bytes : 1) ? 2 : 0;
}

static status release(handle p)
{
    use_device();
    if (!p) return 0;
    stub_count(FREED);
    free(p);
    return 0;
}

status cudaMalloc(handle *p, size_t n) { return allocate(p, n); }
status cudaMallocHost(handle *p, size_t n) { return allocate(p, n); }
status cudaHostAlloc(handle *p, size_t n, unsigned flags) { (void)flags; return allocate(p, n); }
status cudaMallocFromPoolAsync(handle *p, size_t n, handle pool, handle stream) { (void)pool; (void)stream; return allocate(p, n); }
status cudaFree(handle p) { return release(p); }
status cudaFreeHost(handle p) { return release(p); }
status cudaFreeAsync(handle p, handle stream) { (void)stream; return release(p); }
status cudaMemGetInfo(size_t *free_bytes, size_t *total) { *free_bytes = (size_t)130 << 30; *total = (size_t)139 << 30; return 0; }

static status copy(void *to, const void *from, size_t bytes, int direction)
{
    use_device();
    stub_count(direction == 1 ? TO_DEVICE : direction == 2 ? TO_HOST : direction == 3 ? ON_DEVICE : OTHER_COPY);
    memmove(to, from, bytes);
    return 0;
}

status cudaMemcpy(void *to, const void *from, size_t n, int direction) { return copy(to, from, n, direction); }
status cudaMemcpyAsync(void *to, const void *from, size_t n, int direction, handle stream) { (void)stream; return copy(to, from, n, direction); }

status cudaMemcpy2DAsync(char *to, size_t to_pitch, const char *from, size_t from_pitch, size_t width, size_t height, int direction, handle stream)
{
    (void)stream;
    copy(to, from, 0, direction);
    for (size_t row = 0; row < height; row++) memmove(to + row * to_pitch, from + row * from_pitch, width);
    return 0;
}

status cudaMemcpyFromSymbol(void *to, const void *symbol, size_t n, size_t offset, int direction)
{
    (void)symbol; (void)offset;
    memset(to, 0, n);
    return copy(to, to, 0, direction);
}

/* Pages of zeros are given back to the system, which puts zeros in their place when they are touched: models of real size then cost none of the machine's memory. */
static void clear(char *p, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *end = p + n, *first = (char *)(((uintptr_t)p + page - 1) & ~(page - 1)), *last = (char *)((uintptr_t)end & ~(page - 1));
    if (n < 1 << 20 || madvise(first, (size_t)(last - first), MADV_DONTNEED)) first = last = end;
    memset(p, 0, (size_t)(first - p));
    memset(last, 0, (size_t)(end - last));
}

status cudaMemset(void *p, int value, size_t n)
{
    use_device();
    if (value) memset(p, value, n);
    else clear(p, n);
    return 0;
}

status cudaMemsetAsync(void *p, int value, size_t n, handle stream) { (void)stream; return cudaMemset(p, value, n); }

/* ---- streams, events, graphs ---- */

static status make(handle *p) { *p = malloc(16); return *p ? 0 : 2; }
static status synchronise(void) { use_device(); stub_count(SYNCHRONISED); return 0; }

status cudaStreamCreate(handle *p) { return make(p); }
status cudaStreamCreateWithFlags(handle *p, unsigned flags) { (void)flags; return make(p); }
status cudaStreamDestroy(handle stream) { free(stream); return 0; }
status cudaStreamSynchronize(handle stream) { (void)stream; return synchronise(); }
status cudaDeviceSynchronize(void) { return synchronise(); }
status cudaStreamWaitEvent(void) { return 0; }
status cudaEventCreate(handle *p) { return make(p); }
status cudaEventCreateWithFlags(handle *p, unsigned flags) { (void)flags; return make(p); }
status cudaEventDestroy(handle event) { free(event); return 0; }
status cudaEventRecord(void) { return 0; }
status cudaEventSynchronize(handle event) { (void)event; return synchronise(); }
status cudaEventElapsedTime(float *ms, handle start, handle end) { (void)start; (void)end; *ms = 1; return 0; }

status cudaStreamBeginCapture(handle stream, int mode)
{
    (void)stream; (void)mode;
    stub_count(CAPTURED);
    for (long i = 0; i < written; i++) *(unsigned char *)blocks[i] ^= 0x55;
    recorder = pthread_self();
    __atomic_store_n(&capturing, 1, __ATOMIC_RELEASE);
    return 0;
}

/* With CUDA_STUB_CAPTURE_MS recording takes a while, in which other threads can show whether they keep still. */
status cudaStreamEndCapture(handle stream, handle *graph)
{
    const char *text = getenv("CUDA_STUB_CAPTURE_MS");
    (void)stream;
    if (text) usleep((useconds_t)atoi(text) * 1000);
    __atomic_store_n(&capturing, 0, __ATOMIC_RELEASE);
    return make(graph);
}

status cudaStreamIsCapturing(handle stream, int *answer) { (void)stream; *answer = capturing; return 0; }
status cudaGraphInstantiate(handle *executable, handle graph, unsigned long long flags) { (void)graph; (void)flags; return make(executable); }
status cudaGraphLaunch(handle executable, handle stream) { (void)executable; (void)stream; stub_count(REPLAYED); return 0; }
status cudaGraphDestroy(handle graph) { free(graph); return 0; }
status cudaGraphExecDestroy(handle executable) { free(executable); return 0; }

status cudaMemPoolCreate(handle *p, const void *properties) { (void)properties; return make(p); }
status cudaMemPoolDestroy(handle pool) { free(pool); return 0; }
status cudaMemPoolGetAttribute(handle pool, int which, void *value) { (void)pool; (void)which; memset(value, 0, 8); return 0; }
status cudaMemPoolSetAttribute(void) { return 0; }
status cudaMemPoolTrimTo(void) { return 0; }

/* ---- libraries of kernels loaded at run time ---- */

status cudaLibraryLoadData(handle *library) { return make(library); }
status cudaLibraryUnload(handle library) { free(library); return 0; }
status cudaLibraryGetKernel(handle *kernel, handle library, const char *name) { (void)library; (void)name; return make(kernel); }
status cudaKernelSetAttributeForDevice(void) { return 0; }

/* ---- the device: compute capability 9.0, as an H100 or H200 ---- */

static int devices(void)
{
    const char *text = getenv("CUDA_STUB_DEVICES");
    return text ? atoi(text) : 1;
}

status cudaGetDeviceCount(int *count) { *count = devices(); return *count ? 0 : 100; }
status cudaGetDevice(int *device) { *device = 0; return 0; }
status cudaSetDevice(int device) { return device < devices() ? 0 : 101; }
status cudaDriverGetVersion(int *version) { *version = 13000; return 0; }
status cudaRuntimeGetVersion(int *version) { *version = 13000; return 0; }

/* Offsets of cudaDeviceProp in CUDA 13. What is not named here is a number large enough to forbid nothing. */
status cudaGetDeviceProperties(char *properties, int device)
{
    (void)device;
    memset(properties, 0, 1008);
    for (int offset = 384; offset < 800; offset += 4) *(int *)(properties + offset) = 2048;
    strcpy(properties, "CUDA stub");
    *(size_t *)(properties + 288) = (size_t)139 << 30; /* memory */
    *(size_t *)(properties + 296) = 49152;             /* shared memory of a block */
    *(int *)(properties + 304) = 65536;                /* registers of a block */
    *(int *)(properties + 308) = 32;                   /* threads of a warp */
    *(size_t *)(properties + 312) = 0x7fffffff;        /* pitch */
    int *threads = (int *)(properties + 320);          /* of a block; then extents of a block and of a grid */
    threads[0] = threads[1] = threads[2] = 1024;
    threads[3] = 64;
    threads[4] = 0x7fffffff;
    threads[5] = threads[6] = 65535;
    *(size_t *)(properties + 352) = 65536;             /* constant memory */
    *(int *)(properties + 360) = 9;                    /* compute capability */
    *(int *)(properties + 364) = 0;
    *(size_t *)(properties + 368) = 512;               /* alignment of textures */
    *(size_t *)(properties + 376) = 32;
    *(int *)(properties + 384) = 132;                  /* multiprocessors */
    return 0;
}

status cudaDeviceGetAttribute(int *value, int attribute, int device)
{
    static const int known[][2] = {
        {1, 1024}, {8, 49152}, {10, 32}, {16, 132}, {38, 52428800}, {39, 2048}, {75, 9}, {76, 0}, {81, 233472}, {97, 232448},
    };
    (void)device;
    *value = 1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i][0] == attribute) *value = known[i][1];
    return 0;
}

status cudaFuncGetAttributes(void *attributes, handle function) { (void)function; memset(attributes, 0, 64); return 0; }
status cudaFuncSetAttribute(void) { return 0; }
status cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks) { *blocks = 2; return 0; }

status cudaGetDriverEntryPointByVersion(const char *symbol, handle *function, unsigned version, unsigned long long flags, int *found)
{
    (void)symbol; (void)version; (void)flags;
    *function = NULL;
    if (found) *found = 0;
    return 0;
}

status cudaGetLastError(void) { return 0; }
status cudaPeekAtLastError(void) { return 0; }
const char *cudaGetErrorName(status error) { (void)error; return "cudaErrorOfStub"; }
const char *cudaGetErrorString(status error) { return error == 100 ? "no CUDA-capable device is detected" : "the stub refuses"; }
