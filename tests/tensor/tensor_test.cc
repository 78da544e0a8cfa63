#include "lathe/tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lathe {
namespace {

TEST(DType, Bf16RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3F80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3F808000u)).bits, 0x3F80);  // tie to even
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3F818000u)).bits, 0x3F82);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(0x7FFFFFFFu)))));
  EXPECT_TRUE(std::isinf(to_float(to_bf16(std::numeric_limits<float>::infinity()))));
}

TEST(DType, EveryF16SurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const F16 x{static_cast<uint16_t>(bits)};
    const float f = to_float(x);
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(f))));
    } else {
      ASSERT_EQ(to_f16(f).bits, x.bits) << f;
    }
  }
  EXPECT_EQ(to_f16(65520.0f).bits, 0x7C00);
  EXPECT_EQ(to_f16(1e-9f).bits, 0);
}

TEST(DType, NamesLeadBackToTheirType) {
  for (const DTypeNames& row : kDTypeNames) {
    EXPECT_EQ(dtype_from_safetensors(row.safetensors), row.type);
    EXPECT_EQ(safetensors_name(row.type), row.safetensors);
  }
  EXPECT_EQ(dtype_from_safetensors("float32"), std::nullopt);
  EXPECT_EQ(dtype_from_safetensors(""), std::nullopt);
  for (const std::string& name : weight_type_names()) EXPECT_EQ(name_of(weight_type(name)), name);
  for (const std::string& name : precision_names())
    EXPECT_EQ(precision_name(dtype_of_precision(name)), name);
}

TEST(DType, NamesOutsideOfAListAreRefused) {
  EXPECT_EQ(weight_type_names(), (std::vector<std::string>{"float32", "bfloat16", "float16"}));
  EXPECT_EQ(precision_names(), (std::vector<std::string>{"bf16", "fp32"}));
  for (const char* name : {"", "int32", "float64", "fp32", "bfloat"})
    EXPECT_THROW(weight_type(name), Error) << name;
  for (const char* name : {"", "fp16", "float32"})
    EXPECT_THROW(dtype_of_precision(name), Error) << name;
}

TEST(Tensor, ViewsShareStorage) {
  Tensor t = Tensor::zeros({2, 6}, DType::kF32);
  Tensor right = t.narrow(1, 3, 3);
  right.data<float>()[0] = 5;
  EXPECT_EQ(t.to_vector()[3], 5);
  EXPECT_FALSE(right.contiguous());
  EXPECT_EQ(right.clone().to_vector(), (std::vector<double>{5, 0, 0, 0, 0, 0}));
  EXPECT_EQ(t.split_last(2).shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(t.transpose(0, 1).clone().to_vector()[6], 5);
}

TEST(Tensor, ConvertsThroughEveryFloatingType) {
  const std::vector<float> values = {0.5f, -2.0f, 3.0f, 1024.0f};
  const Tensor t = Tensor::of<float>(values, {2, 2});
  for (DType d : {DType::kF64, DType::kBF16, DType::kF16})
    EXPECT_EQ(t.to(d).to(DType::kF32).to_vector(), t.to_vector()) << name_of(d);
}

TEST(Tensor, ErrorsNameShapes) {
  const Tensor t = Tensor::zeros({2, 3}, DType::kF32);
  EXPECT_THROW(t.reshape({7}), Error);
  EXPECT_THROW(t.narrow(1, 2, 2), Error);
  EXPECT_THROW(t.data<double>(), Error);
  EXPECT_THROW((Shape{1 << 30, 1 << 30, 1 << 30}), Error);
}

TEST(Allocator, ReusesBlocksAndCountsThem) {
  HostAllocator& allocator = host_allocator();
  const size_t before = allocator.bytes_in_use();
  void* first = nullptr;
  {
    Tensor t({1000, 1000}, DType::kF32);
    first = t.raw();
    EXPECT_GE(allocator.bytes_in_use(), before + 4000000);
  }
  EXPECT_EQ(allocator.bytes_in_use(), before);
  EXPECT_EQ(static_cast<void*>(Tensor({1000, 1000}, DType::kF32).raw()), first);
}

}  // namespace
}  // namespace lathe
