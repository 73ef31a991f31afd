/* Stands in for libcublasLt.so. */
#include <stdlib.h>
#include "record.h"

#define MADE(name) int name(void **handle) { *handle = calloc(1, 64); return 0; }
#define ACCEPTED(name) int name(void) { return 0; }

MADE(cublasLtCreate)
MADE(cublasLtMatmulDescCreate)
MADE(cublasLtMatmulPreferenceCreate)
MADE(cublasLtMatrixLayoutCreate)
MADE(cublasLtMatrixTransformDescCreate)
ACCEPTED(cublasLtDestroy)
ACCEPTED(cublasLtMatmulDescDestroy)
ACCEPTED(cublasLtMatmulDescSetAttribute)
ACCEPTED(cublasLtMatmulPreferenceDestroy)
ACCEPTED(cublasLtMatmulPreferenceSetAttribute)
ACCEPTED(cublasLtMatmulAlgoConfigSetAttribute)
ACCEPTED(cublasLtMatmulAlgoInit)
ACCEPTED(cublasLtMatrixLayoutDestroy)
ACCEPTED(cublasLtMatrixLayoutSetAttribute)
ACCEPTED(cublasLtMatrixTransformDescDestroy)

int cublasLtMatmul(void) { stub_launch("cublasLtMatmul"); return 0; }
int cublasLtMatrixTransform(void) { stub_launch("cublasLtMatrixTransform"); return 0; }

/* The last argument takes how many algorithms were found: none. */
int cublasLtMatmulAlgoGetHeuristic(void *h, void *d, void *a, void *b, void *c, void *e, void *p, int wanted, void *results, int *found)
{
    (void)h; (void)d; (void)a; (void)b; (void)c; (void)e; (void)p; (void)wanted; (void)results;
    *found = 0;
    return 0;
}
