// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3").
//
// There is no state to save. A stream is a 64-bit key; number i of a stream is a pure function of
// (key, i). Keys are derived from the run's seed by name, so every use of randomness is named:
//
//   Rng root(seed);
//   Rng dropout = root.fork("dropout").fork(step).fork(layer);
//   float u = dropout.uniform(element_index);
//
// Equal names give equal streams on every machine and thread count. All functions are thread-safe.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace lathe {

__extension__ typedef unsigned __int128 Uint128;

class Rng {
 public:
  explicit constexpr Rng(uint64_t seed = 0) : key_(mix(seed ^ 0x9E3779B97F4A7C15ull)) {}

  // A stream independent of this one, named by a word or a number.
  constexpr Rng fork(std::string_view name) const {
    uint64_t h = 0xCBF29CE484222325ull;  // FNV-1a
    for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
    return Rng(Raw{}, mix(key_ ^ mix(h)));
  }
  constexpr Rng fork(uint64_t index) const {
    return Rng(Raw{}, mix(key_ + 0xD1B54A32D192ED03ull * (index + 1)));
  }

  // The stream whose key() is `key`.
  static constexpr Rng from_key(uint64_t key) { return Rng(Raw{}, key); }
  constexpr uint64_t key() const { return key_; }

  // Four independent 32-bit words for one counter value.
  constexpr std::array<uint32_t, 4> block(uint64_t counter) const {
    uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32);
    uint32_t c2 = 0, c3 = 0;
    uint32_t k0 = static_cast<uint32_t>(key_), k1 = static_cast<uint32_t>(key_ >> 32);
    for (int i = 0; i < kRounds; ++i) {
      round(c0, c1, c2, c3, k0, k1);
      k0 += kKeyStep0;
      k1 += kKeyStep1;
    }
    return {c0, c1, c2, c3};
  }

  // The parts of block(), for kernels that compute many blocks at a time.
  static constexpr int kRounds = 10;
  static constexpr uint32_t kKeyStep0 = 0x9E3779B9u, kKeyStep1 = 0xBB67AE85u;
  [[gnu::always_inline]] static constexpr void round(uint32_t& c0, uint32_t& c1, uint32_t& c2,
                                                     uint32_t& c3, uint32_t k0, uint32_t k1) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
  }

  constexpr uint32_t bits32(uint64_t index) const { return block(index >> 2)[index & 3]; }
  constexpr uint64_t bits64(uint64_t index) const {
    const auto b = block(index >> 1);
    const int i = (index & 1) * 2;
    return (uint64_t{b[i + 1]} << 32) | b[i];
  }

  // Uniform in [0, 1), 24 bits.
  constexpr float uniform(uint64_t index) const {
    return static_cast<float>(bits32(index) >> 8) * (1.0f / 16777216.0f);
  }
  // Uniform in [0, 1), 53 bits.
  constexpr double uniform64(uint64_t index) const {
    return static_cast<double>(bits64(index) >> 11) * (1.0 / 9007199254740992.0);
  }
  // Uniform integer in [0, n), n > 0, by multiply-shift (bias below n / 2^64).
  constexpr uint64_t below(uint64_t index, uint64_t n) const {
    return static_cast<uint64_t>((static_cast<Uint128>(bits64(index)) * n) >> 64);
  }
  // Standard normal by Box-Muller; indices 2i and 2i+1 share one block.
  double normal(uint64_t index) const {
    const auto b = block(index >> 1);
    const double u = (static_cast<double>(b[0]) + 0.5) * (1.0 / 4294967296.0);
    const double v = (static_cast<double>(b[1]) + 0.5) * (1.0 / 4294967296.0);
    const double r = std::sqrt(-2.0 * std::log(u)), a = 6.283185307179586476925 * v;
    return (index & 1) ? r * std::sin(a) : r * std::cos(a);
  }

 private:
  struct Raw {};
  constexpr Rng(Raw, uint64_t key) : key_(key) {}
  static constexpr uint64_t mix(uint64_t z) {  // splitmix64's finaliser
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  uint64_t key_;
};

}  // namespace lathe
