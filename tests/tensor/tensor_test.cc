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

TEST(Tensor, StridedViewsMayOverlapButStayWithinTheStorage) {
  const Tensor t = Tensor::of<float>(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}, {2, 4});
  const Tensor pairs = t.strided({7, 2}, std::vector<int64_t>{1, 1});
  EXPECT_EQ(pairs.narrow(0, 3, 2).clone().to_vector(), (std::vector<double>{3, 4, 4, 5}));
  EXPECT_TRUE(pairs.shares_storage(t));
  EXPECT_EQ(t.narrow(0, 1, 1).strided({2, 2}, std::vector<int64_t>{2, 1}).to_vector(),
            (std::vector<double>{4, 5, 6, 7}));
  EXPECT_THROW(t.strided({8, 2}, std::vector<int64_t>{1, 1}), Error);
  EXPECT_THROW(t.narrow(0, 1, 1).strided({3, 2}, std::vector<int64_t>{2, 1}), Error);
  EXPECT_THROW(t.strided({2, 2}, std::vector<int64_t>{-1, 1}), Error);
  EXPECT_THROW(t.strided({2, 2}, std::vector<int64_t>{1}), Error);
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

TEST(Allocator, CountsByTheOutermostLabel) {
  HostAllocator& allocator = host_allocator();
  const auto bytes_of = [&](std::string_view label) {
    for (const auto& [name, bytes] : allocator.peak_by_label())
      if (name == label) return bytes;
    return size_t{0};
  };
  allocator.reset_peak();
  {
    const MemoryLabel outer("outer of the test");
    const MemoryLabel inner("inner of the test");
    const Tensor t({1000, 100}, DType::kF32);
  }
  EXPECT_EQ(bytes_of("outer of the test"), 400000);
  EXPECT_EQ(bytes_of("inner of the test"), 0);
  EXPECT_STREQ(MemoryLabel::current(), "");
  allocator.reset_peak();
  EXPECT_EQ(bytes_of("outer of the test"), 0);
}

TEST(Allocator, KeepsOfABlockTheMostThatWasAskedFor) {
  HostAllocator allocator;
  std::byte* const first = allocator.allocate(1 << 20);
  allocator.release(first, 1 << 20);
  const size_t less = (1 << 20) - 100;  // of the same size class
  EXPECT_EQ(allocator.allocate(less), first);
  EXPECT_EQ(allocator.bytes_in_use(), less);
  EXPECT_EQ(allocator.bytes_touched(), 1 << 20);
  allocator.release(first, less);
  allocator.trim();
  EXPECT_EQ(allocator.bytes_touched(), 0);
}

TEST(Allocator, TakesALargerBlockWhereAClassHasNone) {
  HostAllocator allocator;
  std::byte* const large = allocator.allocate(1 << 20);
  allocator.release(large, 1 << 20);
  EXPECT_EQ(allocator.allocate(600 << 10), large);
  std::byte* const other = allocator.allocate(600 << 10);
  EXPECT_NE(other, large);
  allocator.release(large, 600 << 10);
  EXPECT_EQ(allocator.allocate(1 << 20), large);  // as large as it was
  allocator.release(large, 1 << 20);
  std::byte* const small = allocator.allocate(100 << 10);
  EXPECT_NE(small, large);  // not for less than half
  allocator.release(small, 100 << 10);
  allocator.release(other, 600 << 10);
}

TEST(DryMemory, FloatsAreZerosAndIntegersAreKept) {
  const Tensor source = Tensor::of<float>(std::vector<float>{1, 2, 3}, {3});
  {
    const DryMemory dry;
    EXPECT_THROW(DryMemory(), Error);
    const Tensor copy = source.clone();
    EXPECT_FALSE(copy.holds_values());
    EXPECT_EQ(copy.to_vector(), (std::vector<double>{0, 0, 0}));
    copy.copy_from(source);
    EXPECT_EQ(source.to(DType::kF64).to_vector(), (std::vector<double>{0, 0, 0}));
    const Tensor ids = Tensor::of<int32_t>(std::vector<int32_t>{7, -1}, {2});
    EXPECT_EQ(ids.clone().span<int32_t>()[1], -1);
    // A block that held integers holds zeros again.
    for (const int64_t size : {int64_t{2}, int64_t{1} << 20}) {
      void* place = nullptr;
      {
        const Tensor held({size}, DType::kI32);
        std::ranges::fill(held.span<int32_t>(), -1);
        place = held.raw();
      }
      const Tensor again({size}, DType::kF32);
      EXPECT_EQ(static_cast<void*>(again.raw()), place);
      EXPECT_EQ(again.span<float>()[static_cast<size_t>(size) - 1], 0);
    }
    EXPECT_GE(dry.allocator().peak_bytes(), 4 << 20);
    // More than any machine has.
    const Tensor vast({1 << 20, 1 << 20}, DType::kF32);
    EXPECT_EQ(vast.data<float>()[int64_t{1} << 39], 0);
  }
  EXPECT_EQ(source.clone().to_vector(), (std::vector<double>{1, 2, 3}));
}

}  // namespace
}  // namespace lathe
