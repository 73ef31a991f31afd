/* What a stub library tells of the calls it got: counters and the names of kernels, kept by the runtime stub and read by tests. */
#pragma once

/* DISTURBED: what a thread asked of the device while another recorded. */
enum recorded { TO_DEVICE, TO_HOST, ON_DEVICE, OTHER_COPY, SYNCHRONISED, LAUNCHED, CAPTURED, REPLAYED, ALLOCATED, FREED, DISTURBED, RECORDED_KINDS };

void stub_count(enum recorded kind);
void stub_launch(const char *kernel);
