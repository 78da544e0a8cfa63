// Matrix tiles (AMX): eight registers of 16 rows by 64 bytes, and the instruction that multiplies two of bf16 and adds to
// one of f32. Where the processor lacks them, the tests compile the same with memory in their place, as level
// emulated_amx_bf16. Include inside the level.h frame.
//
// c += a·b of one instruction sums, for each element, the products of even and of odd places along K apart from each
// other, each from zero and in order, and adds both and then c (Intel's manual, TDPBF16PS). So an element does not depend
// on which rows and columns stand beside it.
#pragma once

#include "lathe/kernels/cpu/isa/pair.h"

// Rows of a tile, and words of a row: floats, or pairs along K of bf16.
constexpr int64_t kTile = 16;

#if defined(LATHE_HAS_MATRIX_TILES)
constexpr bool kHasMatrixTiles = true;
#else
constexpr bool kHasMatrixTiles = false;
#endif

#if !defined(LATHE_HAS_MATRIX_TILES)

class MatrixTiles {
 public:
  MatrixTiles() {}
};

#else
#if defined(LATHE_ISA_amx_bf16)

// For as long as it lives, all tiles of this thread have their full size.
class MatrixTiles {
 public:
  MatrixTiles() {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    for (int i = 0; i < 8; ++i) {
      config.row_bytes[i] = 64;
      config.rows[i] = 16;
    }
    asm volatile("" ::"r"(&config) : "memory");  // compilers see only that its first bytes are read
    _tile_loadconfig(&config);
  }
  ~MatrixTiles() { _tile_release(); }
  MatrixTiles(const MatrixTiles&) = delete;
  MatrixTiles& operator=(const MatrixTiles&) = delete;
};

// Compilers do not see that the instructions read memory: this stands between stores to it and them.
LATHE_INLINE void settle_memory() { asm volatile("" ::: "memory"); }
// `tile` are literals. Rows lie `bytes` apart.
#define LATHE_TILE_ZERO(tile) _tile_zero(tile)
#define LATHE_TILE_LOAD(tile, from, bytes) _tile_loadd(tile, from, bytes)
#define LATHE_TILE_STORE(tile, to, bytes) _tile_stored(tile, to, bytes)
#define LATHE_TILE_MULTIPLY(c, a, b) _tile_dpbf16ps(c, a, b)

#else

struct EmulatedTile {
  uint32_t words[kTile][kTile];
};
static thread_local EmulatedTile tiles[8];

class MatrixTiles {
 public:
  MatrixTiles() { std::memset(tiles, 0, sizeof(tiles)); }
};

LATHE_INLINE void settle_memory() {}

static void load_tile(EmulatedTile& tile, const void* from, int64_t bytes) {
  for (int64_t r = 0; r < kTile; ++r)
    std::memcpy(tile.words[r], static_cast<const char*>(from) + r * bytes, sizeof(tile.words[r]));
}
static void store_tile(const EmulatedTile& tile, void* to, int64_t bytes) {
  for (int64_t r = 0; r < kTile; ++r)
    std::memcpy(static_cast<char*>(to) + r * bytes, tile.words[r], sizeof(tile.words[r]));
}
static void multiply_tiles(EmulatedTile& c, const EmulatedTile& a, const EmulatedTile& b) {
  const auto even = [](uint32_t pair) { return __builtin_bit_cast(float, pair << 16); };
  const auto odd = [](uint32_t pair) { return __builtin_bit_cast(float, pair & 0xFFFF0000u); };
  for (int64_t m = 0; m < kTile; ++m) {
    float evens[kTile] = {}, odds[kTile] = {};
    for (int64_t k = 0; k < kTile; ++k)
      for (int64_t n = 0; n < kTile; ++n) {
        evens[n] += even(a.words[m][k]) * even(b.words[k][n]);
        odds[n] += odd(a.words[m][k]) * odd(b.words[k][n]);
      }
    for (int64_t n = 0; n < kTile; ++n)
      c.words[m][n] = __builtin_bit_cast(
          uint32_t, __builtin_bit_cast(float, c.words[m][n]) + (evens[n] + odds[n]));
  }
}
#define LATHE_TILE_ZERO(tile) (tiles[tile] = EmulatedTile{})
#define LATHE_TILE_LOAD(tile, from, bytes) load_tile(tiles[tile], from, bytes)
#define LATHE_TILE_STORE(tile, to, bytes) store_tile(tiles[tile], to, bytes)
#define LATHE_TILE_MULTIPLY(c, a, b) multiply_tiles(tiles[c], tiles[a], tiles[b])

#endif

// The sums of R · 16 rows by C · 16 columns are in tiles 0 to 3, those of the second rows in 2 and 3: begun at zero, or
// with what C holds.
template <int R, int C>
LATHE_INLINE void zero_sums() {
  LATHE_TILE_ZERO(0);
  if constexpr (C == 2) LATHE_TILE_ZERO(1);
  if constexpr (R == 2) LATHE_TILE_ZERO(2);
  if constexpr (R == 2 && C == 2) LATHE_TILE_ZERO(3);
}
template <int R, int C>
LATHE_INLINE void load_sums(const float* c, int64_t stride) {
  const int64_t bytes = stride * int64_t{sizeof(float)};
  LATHE_TILE_LOAD(0, c, bytes);
  if constexpr (C == 2) LATHE_TILE_LOAD(1, c + kTile, bytes);
  if constexpr (R == 2) LATHE_TILE_LOAD(2, c + kTile * stride, bytes);
  if constexpr (R == 2 && C == 2) LATHE_TILE_LOAD(3, c + kTile * stride + kTile, bytes);
}
template <int R, int C>
LATHE_INLINE void store_sums(float* c, int64_t stride) {
  const int64_t bytes = stride * int64_t{sizeof(float)};
  LATHE_TILE_STORE(0, c, bytes);
  if constexpr (C == 2) LATHE_TILE_STORE(1, c + kTile, bytes);
  if constexpr (R == 2) LATHE_TILE_STORE(2, c + kTile * stride, bytes);
  if constexpr (R == 2 && C == 2) LATHE_TILE_STORE(3, c + kTile * stride + kTile, bytes);
}
// sums += a · b of 16 pairs along K. Rows of `a` lie `a_bytes` apart, and may begin in the middle of a word; those of `b`
// `b_stride` words. The second tile of `b` begins `b_next` words behind the first.
template <int R, int C>
LATHE_INLINE void add_step(const void* a, int64_t a_bytes, const Pair* b, int64_t b_stride,
                           int64_t b_next) {
  const int64_t b_bytes = b_stride * int64_t{sizeof(Pair)};
  LATHE_TILE_LOAD(4, a, a_bytes);
  LATHE_TILE_LOAD(6, b, b_bytes);
  LATHE_TILE_MULTIPLY(0, 4, 6);
  if constexpr (R == 2) {
    LATHE_TILE_LOAD(5, static_cast<const std::byte*>(a) + kTile * a_bytes, a_bytes);
    LATHE_TILE_MULTIPLY(2, 5, 6);
  }
  if constexpr (C == 2) {
    LATHE_TILE_LOAD(7, b + b_next, b_bytes);
    LATHE_TILE_MULTIPLY(1, 4, 7);
    if constexpr (R == 2) LATHE_TILE_MULTIPLY(3, 5, 7);
  }
}

#endif
