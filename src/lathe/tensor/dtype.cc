#include "lathe/tensor/dtype.h"

#include <array>

namespace lathe {
namespace {

struct Names {
  DType type;
  std::string_view name, safetensors;
};
constexpr std::array<Names, 7> kNames = {{{DType::kF32, "float32", "F32"},
                                          {DType::kBF16, "bfloat16", "BF16"},
                                          {DType::kF16, "float16", "F16"},
                                          {DType::kF64, "float64", "F64"},
                                          {DType::kI32, "int32", "I32"},
                                          {DType::kI64, "int64", "I64"},
                                          {DType::kU8, "uint8", "U8"}}};

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

std::string_view name_of(DType t) {
  for (const auto& n : kNames)
    if (n.type == t) return n.name;
  return "unknown";
}

std::string_view safetensors_name(DType t) {
  for (const auto& n : kNames)
    if (n.type == t) return n.safetensors;
  return "unknown";
}

std::optional<DType> dtype_from_safetensors(std::string_view name) {
  for (const auto& n : kNames)
    if (n.safetensors == name) return n.type;
  return std::nullopt;
}

}  // namespace lathe
