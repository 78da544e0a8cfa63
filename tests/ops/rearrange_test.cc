// Parts and orders of tensors, and what adapters multiply and add: gradients and agreement through the
// harness, values by hand, refusals.
#include "lathe/ops/rearrange.h"

#include <array>

#include "io/temp_folder.h"
#include "ops/harness.h"

namespace lathe::testing {
namespace {

using Vars = std::vector<Var>;
using Ids = std::vector<int32_t>;

Tensor i32(const Ids& values) {
  return Tensor::of<int32_t>(values, {static_cast<int64_t>(values.size())});
}
Sequences sequences() { return Sequences(std::vector<int64_t>{2, 0, 3}); }

void add_orders(std::vector<Case>& all) {
  all.push_back({"reshape", {{{2, 6}}}, [](const Vars& v) -> Vars {
                   return {ops::reshape(v[0], {3, 4})};
                 }});
  all.push_back({"rearrange", {{{2, 12}}}, [](const Vars& v) -> Vars {
                   return {ops::rearrange(v[0], {2, 3, 4}, {2, 0, 1})};
                 }});
  all.push_back({"rearrange_four", {{{4, 12}}}, [](const Vars& v) -> Vars {
                   return {ops::rearrange(v[0], {2, 2, 3, 4}, {0, 2, 1, 3})};
                 }});
  all.push_back(
      {"transpose", {{{3, 5}}}, [](const Vars& v) -> Vars { return {ops::transpose(v[0])}; }});
  all.push_back({"permute_columns", {{{3, 4}}}, [](const Vars& v) -> Vars {
                   return {ops::permute_columns(v[0], i32({2, 0, 3, 1}))};
                 }});
}

void add_parts(std::vector<Case>& all) {
  all.push_back({"narrow", {{{4, 6}}}, [](const Vars& v) -> Vars {
                   return {ops::narrow(v[0], 1, 2, 3), ops::narrow(v[0], 0, 1, 2)};
                 }});
  all.push_back({"join_rows", {{{2, 3}}, {{1, 3}}, {{3, 3}}}, [](const Vars& v) -> Vars {
                   return {ops::join_rows(v)};
                 }});
  all.push_back({"take_rows", {{{5, 2, 2}}}, [](const Vars& v) -> Vars {
                   return {ops::take_rows(v[0], i32({4, 0, 2}))};
                 }});
  all.push_back({"replace_rows", {{{5, 3}}, {{2, 3}}}, [](const Vars& v) -> Vars {
                   return {ops::replace_rows(v[0], i32({3, 1}), v[1])};
                 }});
  all.push_back({"replace_elements", {{{5}}, {{2}}}, [](const Vars& v) -> Vars {
                   return {ops::replace_rows(v[0], i32({0, 4}), v[1])};
                 }});
  all.push_back({"insert_before_each", {{{5, 3}}, {{2, 3}}}, [](const Vars& v) -> Vars {
                   return {ops::insert_before_each(v[0], sequences(), v[1])};
                 }});
  // In place: the operand must be nobody else's.
  all.push_back({"add_block", {{{4, 5}}, {{2, 3}}}, [](const Vars& v) -> Vars {
                   return {ops::add_block(ops::scale(v[0], 2.0), 1, 2, v[1])};
                 }});
}

void add_arithmetic(std::vector<Case>& all) {
  all.push_back({"multiply", {{{2, 3, 4}}, {{2, 3, 4}}}, [](const Vars& v) -> Vars {
                   return {ops::multiply(v[0], v[1])};
                 }});
  all.push_back({"multiply_columns", {{{2, 3, 4}}, {{4}, Kind::kGain}}, [](const Vars& v) -> Vars {
                   return {ops::multiply(v[0], v[1])};
                 }});
  all.push_back({"multiply_with_itself", {{{3, 4}}}, [](const Vars& v) -> Vars {
                   return {ops::multiply(v[0], v[0])};
                 }});
  all.push_back({"add_to_rows", {{{2, 3, 4}}, {{4}}}, [](const Vars& v) -> Vars {
                   return {ops::add(v[0], v[1])};
                 }});
  all.push_back({"frobenius_norm", {{{3, 4}}}, [](const Vars& v) -> Vars {
                   return {ops::frobenius_norm(v[0])};
                 }});
}

std::vector<Case> cases() {
  std::vector<Case> all;
  add_orders(all);
  add_parts(all);
  add_arithmetic(all);
  return all;
}

class Rearranging : public ::testing::TestWithParam<Case> {};
TEST_P(Rearranging, GradientsAreCentralDifferences) { check_gradients(GetParam()); }
TEST_P(Rearranging, GradientsAddUp) { check_sums(GetParam()); }
TEST_P(Rearranging, AgreesWithTheSpecification) { check_agreement(GetParam()); }
INSTANTIATE_TEST_SUITE_P(, Rearranging, ::testing::ValuesIn(cases()), case_name);

Tensor numbers(int64_t count, const Shape& shape) {
  Values values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<double>(i));
  return tensor_of(values, shape, DType::kF64, Device::kRef);
}

TEST(Rearranged, ElementsAreWhereTheOrderSays) {
  EXPECT_EQ(ops::rearrange(Var(numbers(12, {12})), {2, 3, 2}, {2, 0, 1}).value.to_vector(),
            (Values{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(ops::transpose(Var(numbers(6, {2, 3}))).value.to_vector(), (Values{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(ops::permute_columns(Var(numbers(6, {2, 3})), i32({2, 0, 1})).value.to_vector(),
            (Values{2, 0, 1, 5, 3, 4}));
  EXPECT_EQ(ops::take_rows(Var(numbers(6, {3, 2})), i32({2, 0})).value.to_vector(),
            (Values{4, 5, 0, 1}));
}

TEST(Rearranged, APrefixStandsBeforeEachSequence) {
  const Var x = numbers(5, {5, 1}), prefix = tensor_of({-1, -2}, {2, 1}, DType::kF64, Device::kRef);
  EXPECT_EQ(ops::insert_before_each(x, sequences(), prefix).value.to_vector(),
            (Values{-1, -2, 0, 1, -1, -2, -1, -2, 2, 3, 4}));
}

TEST(Rearranged, WhatDoesNotFitIsRefused) {
  const Var x = numbers(6, {3, 2});
  const auto expect = [](const std::function<void()>& f, const std::string& part) {
    EXPECT_NE(error_text(f).find(part), std::string::npos) << error_text(f);
  };
  expect([&] { ops::take_rows(x, i32({3})); }, "row 3 of 3");
  expect([&] { ops::replace_rows(x, i32({1}), x); }, "[3, 2], expected [1, 2]");
  expect([&] { ops::add_block(x, 2, 0, x); }, "[3, 2] does not fit into [3, 2] at row 2, column 0");
  expect([&] { ops::permute_columns(x, i32({0})); }, "[3, 2] columns in the order of 1");
  expect([&] { ops::multiply(x, numbers(3, {3})); }, "[3, 2] cannot be multiplied with [3]");
  expect([&] { ops::insert_before_each(x, sequences(), x); }, "3 rows in sequences of 5");
  expect([&] { ops::join_rows({}); }, "nothing to join");
}

}  // namespace
}  // namespace lathe::testing
