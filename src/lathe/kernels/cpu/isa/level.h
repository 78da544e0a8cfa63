// The first half of the frame around every source in this folder; level_end.h is the other. Include
// both after all other headers:
//
//   #include "lathe/kernels/cpu/isa/level.h"
//   … functions for this instruction-set level, in namespace lathe::kernels::LATHE_ISA_NAMESPACE …
//   #include "lathe/kernels/cpu/isa/level_end.h"
//
// The build compiles each source once per level with LATHE_ISA and LATHE_ISA_<level> defined. The
// target is set by pragma from here on instead of by a compiler flag for the whole file, because a
// flag would also compile the inline functions of standard headers for that level, and the linker
// could then pick such a copy for a machine that cannot run it. Functions called from hot loops but
// defined in headers above must be always_inline.
#if defined(LATHE_ISA_avx512_bf16) || defined(LATHE_ISA_amx_bf16)
#define LATHE_HAS_BF16_PAIRS
#endif
#if defined(LATHE_ISA_avx512) || defined(LATHE_ISA_avx512_vnni) || defined(LATHE_HAS_BF16_PAIRS)
#define LATHE_HAS_AVX512
#elif defined(LATHE_ISA_avx2) || defined(LATHE_ISA_avx2_vnni)
#define LATHE_HAS_AVX2
#endif
// The tests compile what multiplies bf16 in pairs (pair.h) or in tiles (matrix_tiles.h) once more, with the shapes of
// these levels and without their instructions.
#if defined(LATHE_ISA_emulated_bf16) || defined(LATHE_ISA_emulated_amx)
#define LATHE_EMULATES_BF16_PAIRS
#endif
#if defined(LATHE_ISA_amx_bf16) || defined(LATHE_ISA_emulated_amx)
#define LATHE_HAS_MATRIX_TILES
#endif
#if defined(LATHE_HAS_AVX2) || defined(LATHE_HAS_AVX512)
#include <immintrin.h>  // its functions carry their own targets
#endif

#define LATHE_JOIN2(a, b) a##b
#define LATHE_JOIN(a, b) LATHE_JOIN2(a, b)
#define LATHE_ISA_NAMESPACE LATHE_JOIN(isa_, LATHE_ISA)

#define LATHE_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define LATHE_BEGIN_TARGET(targets, gcc_targets) \
  LATHE_PRAGMA(clang attribute push(__attribute__((target(targets))), apply_to = function))
#define LATHE_END_TARGET _Pragma("clang attribute pop")
#else
#define LATHE_BEGIN_TARGET(targets, gcc_targets) \
  _Pragma("GCC push_options") LATHE_PRAGMA(GCC target(gcc_targets))
#define LATHE_END_TARGET _Pragma("GCC pop_options")
#endif

#if defined(LATHE_ISA_avx2)
LATHE_BEGIN_TARGET("avx2,fma,f16c,bmi,bmi2", "avx2,fma,f16c,bmi,bmi2")
#elif defined(LATHE_ISA_avx2_vnni)
LATHE_BEGIN_TARGET("avxvnni,avx2,fma,f16c,bmi,bmi2", "avxvnni,avx2,fma,f16c,bmi,bmi2")
#elif defined(LATHE_ISA_avx512_vnni)
LATHE_BEGIN_TARGET(
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,bmi,bmi2",
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,bmi,bmi2,prefer-vector-width=512")
#elif defined(LATHE_ISA_avx512)
LATHE_BEGIN_TARGET(
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2",
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2,prefer-vector-width=512")
#elif defined(LATHE_ISA_avx512_bf16)
LATHE_BEGIN_TARGET(
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma,f16c,bmi,bmi2",
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma,f16c,bmi,bmi2,prefer-vector-width=512")
#elif defined(LATHE_ISA_amx_bf16)
LATHE_BEGIN_TARGET(
    "amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma,f16c,bmi,bmi2",
    "amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma,f16c,bmi,bmi2,prefer-vector-width=512")
#else
#define LATHE_NO_TARGET
#endif
