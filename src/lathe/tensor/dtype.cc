#include "lathe/tensor/dtype.h"

#include <algorithm>
#include <span>

#include "lathe/base/catalogue.h"

namespace lathe {
namespace {

static_assert(std::ranges::all_of(kDTypeNames,
                                  [](const auto& row) { return &dtype_names(row.type) == &row; }));

constexpr DType kWeightTypes[] = {DType::kF32, DType::kBF16, DType::kF16};
constexpr DType kPrecisions[] = {DType::kBF16, DType::kF32};
constexpr DType kCachePrecisions[] = {DType::kF32, DType::kBF16, DType::kI8};

using Column = std::string_view DTypeNames::*;

std::vector<std::string> names(std::span<const DType> types, Column column) {
  std::vector<std::string> list;
  for (const DType t : types) list.emplace_back(dtype_names(t).*column);
  return list;
}

DType find(std::span<const DType> types, Column column, std::string_view key,
           std::string_view name) {
  for (const DType t : types)
    if (dtype_names(t).*column == name) return t;
  fail_unknown_name(ErrorKind::kConfig, key, name, names(types, column));
}

}  // namespace

float to_float(F16 x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16;
  const uint32_t exponent = (x.bits >> 10) & 0x1Fu, mantissa = x.bits & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * (1.0f / 16777216.0f);
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

F16 to_f16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  const auto sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  const uint32_t magnitude = u & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return F16{static_cast<uint16_t>(sign | 0x7E00u)};
  if (magnitude >= 0x477FF000u) return F16{static_cast<uint16_t>(sign | 0x7C00u)};
  if (magnitude < 0x38800000u) {
    // Subnormal: adding 0.5 lines the mantissa up so that the FPU rounds at the right bit.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return F16{static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000u))};
  }
  const uint32_t rounded = magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u);
  return F16{static_cast<uint16_t>(sign | (rounded >> 13))};
}

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (const auto& row : kDTypeNames)
    if (row.safetensors == name) return row.type;
  return std::nullopt;
}

std::vector<std::string> weight_type_names() { return names(kWeightTypes, &DTypeNames::name); }
DType weight_type(std::string_view name) {
  return find(kWeightTypes, &DTypeNames::name, "dtype", name);
}

std::vector<std::string> precision_names() { return names(kPrecisions, &DTypeNames::precision); }
DType dtype_of_precision(std::string_view name) {
  return find(kPrecisions, &DTypeNames::precision, "precision", name);
}

std::vector<std::string> cache_precision_names() {
  return names(kCachePrecisions, &DTypeNames::precision);
}
DType dtype_of_cache_precision(std::string_view name) {
  return find(kCachePrecisions, &DTypeNames::precision, "cache_precision", name);
}

}  // namespace lathe
