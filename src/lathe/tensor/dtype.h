// Element types, and the 16-bit floats with their conversions (round to nearest even, NaN kept).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lathe/base/error.h"

namespace lathe {

enum class DType : uint8_t {  // files hold names (DTypeNames), not these numbers
  kF32 = 0,
  kBF16 = 1,
  kF16 = 2,
  kF64 = 3,
  kI32 = 4,
  kI64 = 5,
  kU8 = 6,
  kI8 = 7,
};

struct BF16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

inline float to_float(BF16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }
inline BF16 to_bf16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
  const uint32_t quiet = (u >> 16) | 0x40u;
  return BF16{static_cast<uint16_t>((u & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded)};
}
float to_float(F16 x);
F16 to_f16(float x);

inline float to_float(float x) { return x; }
inline double to_float(double x) { return x; }

// A value of floating type T, rounded from double.
template <class T>
T from_double(double x) {
  if constexpr (std::is_same_v<T, BF16>) {
    return to_bf16(static_cast<float>(x));
  } else if constexpr (std::is_same_v<T, F16>) {
    return to_f16(static_cast<float>(x));
  } else {
    return static_cast<T>(x);
  }
}

constexpr size_t size_of(DType t) {
  switch (t) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
    case DType::kF16:
      return 2;
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kU8:
    case DType::kI8:
      return 1;
  }
  return 0;
}

constexpr bool is_floating(DType t) {
  return t == DType::kF32 || t == DType::kBF16 || t == DType::kF16 || t == DType::kF64;
}

struct DTypeNames {
  DType type;
  std::string_view name;         // of PyTorch, config.json and our errors
  std::string_view safetensors;  // of safetensors
  std::string_view precision;    // of recipes and commands; empty: nothing is computed or cached so
};
// One row for each type, in the order of DType.
inline constexpr DTypeNames kDTypeNames[] = {
    {DType::kF32, "float32", "F32", "fp32"}, {DType::kBF16, "bfloat16", "BF16", "bf16"},
    {DType::kF16, "float16", "F16", ""},     {DType::kF64, "float64", "F64", ""},
    {DType::kI32, "int32", "I32", ""},       {DType::kI64, "int64", "I64", ""},
    {DType::kU8, "uint8", "U8", ""},         {DType::kI8, "int8", "I8", "int8"},
};

constexpr const DTypeNames& dtype_names(DType t) { return kDTypeNames[static_cast<size_t>(t)]; }
constexpr std::string_view name_of(DType t) { return dtype_names(t).name; }
constexpr std::string_view safetensors_name(DType t) { return dtype_names(t).safetensors; }
constexpr std::string_view precision_name(DType t) { return dtype_names(t).precision; }
std::optional<DType> dtype_from_safetensors(std::string_view name);

// The types that weights may be written in ("float32", "bfloat16", "float16"), that a model may
// compute in ("bf16", "fp32"), and in which a cache may keep keys and values ("fp32", "bf16",
// "int8"). A name that is none of these is an Error kConfig.
std::vector<std::string> weight_type_names();
DType weight_type(std::string_view name);
std::vector<std::string> precision_names();
DType dtype_of_precision(std::string_view name);
std::vector<std::string> cache_precision_names();
DType dtype_of_cache_precision(std::string_view name);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<BF16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<F16> {
  static constexpr DType value = DType::kF16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kU8;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::kI8;
};

template <class T>
struct TypeTag {
  using type = T;
};

// f(TypeTag<T>{}) with the C++ type of a floating dtype.
template <class F>
decltype(auto) visit_floating(DType t, F&& f) {
  switch (t) {
    case DType::kF32:
      return f(TypeTag<float>{});
    case DType::kF64:
      return f(TypeTag<double>{});
    case DType::kBF16:
      return f(TypeTag<BF16>{});
    case DType::kF16:
      return f(TypeTag<F16>{});
    case DType::kI32:
    case DType::kI64:
    case DType::kU8:
    case DType::kI8:
      break;
  }
  fail(ErrorKind::kShape, "dtype", "{} is not a floating-point type", name_of(t));
}

}  // namespace lathe
