#include "lathe/ops/rows.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"

namespace lathe {
namespace {

using Ids = std::vector<int32_t>;
using Lengths = std::vector<int64_t>;

Ids ids_of(const Tensor& t) {
  const auto s = t.span<int32_t>();
  return {s.begin(), s.end()};
}
Sequences sequences(const Lengths& lengths) { return Sequences(lengths); }

template <class F>
ErrorKind kind_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.kind();
  }
  ADD_FAILURE() << "no error";
  return {};
}

TEST(Sequences, AreConsecutiveRows) {
  const Sequences s = sequences({3, 0, 1, 5});
  EXPECT_EQ(s.count(), 4);
  EXPECT_EQ(s.rows(), 9);
  EXPECT_EQ(ids_of(s.offsets()), (Ids{0, 3, 3, 4, 9}));
  Lengths lengths;
  for (int64_t b = 0; b < s.count(); ++b) {
    EXPECT_EQ(s.first(b) + s.length(b), s.first(b + 1));
    lengths.push_back(s.length(b));
  }
  EXPECT_EQ(lengths, (Lengths{3, 0, 1, 5}));
  EXPECT_EQ(s.longest(), 5);
}

TEST(Sequences, MayBeEquallyLong) {
  const Sequences s = Sequences::equal(3, 4);
  EXPECT_EQ(ids_of(s.offsets()), (Ids{0, 4, 8, 12}));
}

TEST(Sequences, MayBeNone) {
  for (const Sequences& s : {Sequences(), sequences({}), Sequences::equal(0, 5)}) {
    EXPECT_EQ(s.count(), 0);
    EXPECT_EQ(s.rows(), 0);
    EXPECT_EQ(s.longest(), 0);
    EXPECT_EQ(ids_of(s.offsets()), Ids{0});
  }
}

TEST(Sequences, RefuseLengthsThatNoRowNumberReaches) {
  EXPECT_EQ(kind_of([] { sequences({2, -1}); }), ErrorKind::kShape);
  EXPECT_EQ(error_text([] {
              sequences({2, -1});
            }),
            "[sequences] a length of -1, expected at least 0");
  EXPECT_EQ(sequences({2147483647}).rows(), 2147483647);
  const auto too_many = [] { sequences({2147483647, 1}); };
  EXPECT_EQ(kind_of(too_many), ErrorKind::kData);
  EXPECT_EQ(error_text(too_many),
            "[sequences] 2147483648 tokens in one pass, expected at most 2147483647; compute fewer "
            "sequences at once");
}

TEST(Rows, OfARectangleAreItsRows) {
  const Ids values{4, 5, 6, 7, 8, 9};
  const Rows rows = Rows::of(Tensor::of<int32_t>(values, {2, 3}));
  EXPECT_EQ(rows.tokens(), 6);
  EXPECT_EQ(rows.ids.shape(), Shape{6});
  EXPECT_EQ(ids_of(rows.ids), values);
  EXPECT_EQ(ids_of(rows.sequences.offsets()), (Ids{0, 3, 6}));
  EXPECT_EQ(ids_of(rows.with_positions().positions), (Ids{0, 1, 2, 0, 1, 2}));
}

TEST(Rows, RefuseWhatIsNoRectangleOfIds) {
  const auto flat = [] { Rows::of(Tensor::zeros({3}, DType::kI32)); };
  EXPECT_EQ(kind_of(flat), ErrorKind::kShape);
  EXPECT_EQ(error_text(flat), "[rows] ids are int32 [3], expected i32 [B,T]");
  const auto floats = [] { Rows::of(Tensor::zeros({1, 3}, DType::kF32)); };
  EXPECT_EQ(kind_of(floats), ErrorKind::kShape);
}

TEST(Rows, OfAnyLengths) {
  const Rows rows = Rows::of(IdRows{{4, 5}, {}, {6, 7, 8}});
  EXPECT_EQ(ids_of(rows.ids), (Ids{4, 5, 6, 7, 8}));
  EXPECT_EQ(ids_of(rows.sequences.offsets()), (Ids{0, 2, 2, 5}));
  EXPECT_EQ(Rows::of(IdRows{}).tokens(), 0);
  EXPECT_EQ(Rows().tokens(), 0);
}

TEST(Rows, ContinueWhatACacheHolds) {
  Rows rows = Rows::of(IdRows{{4, 5}, {6}, {}, {7}});
  EXPECT_FALSE(rows.has_context());
  EXPECT_EQ(rows.context_of(1), 0);
  EXPECT_EQ(ids_of(rows.keys().offsets()), ids_of(rows.sequences.offsets()));
  rows.context = {0, 0, 0, 0};
  EXPECT_FALSE(rows.has_context());
  rows.context = {0, 9, 3, 1};
  EXPECT_TRUE(rows.has_context());
  EXPECT_EQ(rows.context_of(1), 9);
  EXPECT_EQ(rows.length_of(1), 10);
  EXPECT_EQ(ids_of(rows.keys().offsets()), (Ids{0, 2, 12, 15, 17}));
  EXPECT_EQ(ids_of(rows.with_positions().positions), (Ids{0, 1, 9, 1}));
  EXPECT_FALSE(rows.positions.defined()) << "the rows themselves stay as they are";
}

TEST(Rows, KeepThePositionsThatTheyHave) {
  Rows rows = Rows::of(IdRows{{4, 5}});
  rows.positions = Tensor::of<int32_t>(Ids{7, 3}, {2});
  EXPECT_TRUE(rows.with_positions().positions.shares_storage(rows.positions));
}

}  // namespace
}  // namespace lathe
