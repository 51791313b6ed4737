#include "base/isa.h"

static _Atomic int32_t limit = JEM__ISA_COUNT - 1;

int32_t jem__isa_runs(int32_t isa)
{
#ifdef __x86_64__
    switch (isa) {
    case JEM__ISA_AVX2:
        return __builtin_cpu_supports("avx2") != 0;
    case JEM__ISA_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
#endif
    return isa == JEM__ISA_PLAIN;
}

int32_t jem__isa(void)
{
    int32_t isa = limit;
    while (!jem__isa_runs(isa)) isa--;
    return isa;
}

void jem__isa_limit(int32_t most)
{
    limit = most;
}
