// Where the rows of a token lie in the memory of a paged cache.

#include "lathe/infer/block_store.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

// Numbers its rows: what token t of block b keeps begins with 100 b + t, and 0.25 is added for each head.
void number_rows(const BlockStore& store, int64_t blocks, int64_t block_size, int64_t heads) {
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t t = 0; t < block_size; ++t) {
      const Tensor row = store.rows().narrow(0, store.first_row(b) + t, 1);
      for (int64_t h = 0; h < heads; ++h)
        row.narrow(1, h, 1).copy_from(Tensor::of<float>(
            std::vector<float>(static_cast<size_t>(row.size(2)),
                               static_cast<float>(100 * b + t) + 0.25F * static_cast<float>(h)),
            {1, 1, row.size(2)}));
    }
}

TEST(BlockStore, KeepsWhatAHeadHasOfABlockInOnePiece) {
  const BlockStore store({3, 2}, 3, DType::kF32, 4, 5, true);
  EXPECT_EQ(store.all().shape(), (Shape{4, 3, 5, 2}));
  EXPECT_EQ(store.rows().shape(), (Shape{(3 * 3 + 1) * 5, 3, 2}));
  number_rows(store, 4, 5, 3);
  for (int64_t b = 0; b < 4; ++b)
    for (int64_t h = 0; h < 3; ++h)
      for (int64_t t = 0; t < 5; ++t)
        for (int64_t d = 0; d < 2; ++d)
          EXPECT_EQ(store.all().span<float>()[static_cast<size_t>(((b * 3 + h) * 5 + t) * 2 + d)],
                    100.0F * static_cast<float>(b) + static_cast<float>(t) +
                        0.25F * static_cast<float>(h));
  store.copy_block(3, 1);
  EXPECT_EQ(store.all().narrow(0, 1, 1).to_vector(), store.all().narrow(0, 3, 1).to_vector());
}

TEST(BlockStore, KeepsScalesAndRowsWithoutHeads) {
  const BlockStore scales({3}, 3, DType::kF32, 2, 4, true);
  EXPECT_EQ(scales.all().shape(), (Shape{2, 3, 4}));
  scales.rows()
      .narrow(0, scales.first_row(1) + 2, 1)
      .copy_from(Tensor::of<float>(std::vector<float>{1, 2, 3}, {1, 3}));
  EXPECT_EQ(scales.all().span<float>()[12 + 2], 1);
  EXPECT_EQ(scales.all().span<float>()[12 + 4 + 2], 2);
  EXPECT_EQ(scales.all().span<float>()[12 + 8 + 2], 3);

  const BlockStore latent({7}, 1, DType::kBF16, 2, 4, false);
  EXPECT_EQ(latent.all().shape(), (Shape{2, 4, 7}));
  EXPECT_EQ(latent.rows().shape(), (Shape{8, 7}));
  EXPECT_EQ(latent.first_row(1), 4);
}

TEST(BlockStore, MayBeEmptyAndRefusesWhatCannotBeNumbered) {
  EXPECT_EQ(BlockStore({3, 2}, 3, DType::kF32, 0, 5, true).rows().size(0), 0);
  EXPECT_THROW(BlockStore({3, 2}, 2, DType::kF32, 1, 5, true), Error);
  EXPECT_THROW(BlockStore({3, 2}, 3, DType::kF32, int64_t{1} << 40, 5, false), Error);
}

}  // namespace
}  // namespace lathe
