/* Which instruction set the library's own kernels use. */
#ifndef JEM__BASE_ISA_H
#define JEM__BASE_ISA_H

#include <stdint.h>

enum { JEM__ISA_PLAIN, JEM__ISA_AVX2, JEM__ISA_AVX512, JEM__ISA_COUNT };

/* 1 if this CPU runs kernels of an instruction set. */
int32_t jem__isa_runs(int32_t isa);
/* The best that the CPU runs and the limit allows. */
int32_t jem__isa(void);
/* The highest to use from now on, in the whole process: oneDNN's limit
   (ONEDNN_MAX_CPU_ISA), so that one variable rules all kernels. */
void jem__isa_limit(int32_t most);

#endif
