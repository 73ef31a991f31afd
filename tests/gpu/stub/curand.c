/* Stands in for libcurand.so, which the provider is linked to and calls nothing of. */
int curandGetVersion(int *version) { *version = 10400; return 0; }
