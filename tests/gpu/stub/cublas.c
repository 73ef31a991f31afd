/* Stands in for libcublas.so: products are only noted, under the name of the function that was called. */
#include <stdlib.h>
#include "record.h"

#define PRODUCT(name) int name(void) { stub_launch(#name); return 0; }
#define ACCEPTED(name) int name(void) { return 0; }

PRODUCT(cublasGemmEx)
PRODUCT(cublasGemmStridedBatchedEx)
PRODUCT(cublasGemmBatchedEx)
PRODUCT(cublasSgemm_v2)
PRODUCT(cublasSgemmStridedBatched)
PRODUCT(cublasSgemmBatched)
PRODUCT(cublasDgemm_v2)
PRODUCT(cublasDgemmStridedBatched)
PRODUCT(cublasDgemmBatched)
PRODUCT(cublasSgeam)
PRODUCT(cublasDgeam)
PRODUCT(cublasScopy_v2)
PRODUCT(cublasDcopy_v2)
PRODUCT(cublasSscal_v2)
PRODUCT(cublasSgetrfBatched)
PRODUCT(cublasSgetriBatched)
PRODUCT(cublasDgetrfBatched)
PRODUCT(cublasDgetriBatched)

int cublasCreate_v2(void **handle) { *handle = malloc(16); return 0; }
int cublasDestroy_v2(void *handle) { free(handle); return 0; }
int cublasGetMathMode(void *handle, int *mode) { (void)handle; *mode = 0; return 0; }
ACCEPTED(cublasSetMathMode)
ACCEPTED(cublasSetStream_v2)
const char *cublasGetStatusName(int status) { (void)status; return "status of the stub"; }
const char *cublasGetStatusString(int status) { (void)status; return "status of the stub"; }
