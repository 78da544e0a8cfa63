#include "lathe/corpus/token_shard.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "io/temp_folder.h"

namespace lathe {
namespace {

template <class T>
std::string raw(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// An index written by hand after the format's definition.
std::string index_of(uint8_t dtype, const std::vector<int32_t>& sizes,
                     const std::vector<int64_t>& pointers, const std::vector<int64_t>& documents) {
  return std::string("MMIDIDX\0\0", 9) + raw<uint64_t>({1}) + raw<uint8_t>({dtype}) +
         raw<uint64_t>({sizes.size(), documents.size()}) + raw(sizes) + raw(pointers) +
         raw(documents);
}

std::vector<int32_t> tokens_of(const TokenShard& shard, int64_t begin, int64_t end,
                               int64_t vocab = 1 << 30) {
  std::vector<int32_t> out(static_cast<size_t>(end - begin));
  shard.read(begin, end, out, vocab);
  return out;
}

using Ids = std::vector<int32_t>;
using Offsets = std::vector<int64_t>;

TEST(TokenShard, BeforeTheIndexTheNewTokensCannotBeRead) {
  const TempFolder folder;
  TokenShardWriter writer(folder / "s", 100);
  writer.add_document(Ids{1, 2});
  bool called = false;
  writer.finish([&] {
    called = true;
    EXPECT_TRUE(std::filesystem::exists(folder / "s.bin"));
    EXPECT_FALSE(std::filesystem::exists(folder / "s.idx"));
  });
  EXPECT_TRUE(called);
  EXPECT_EQ(TokenShard(folder / "s").num_tokens(), 2);
}

TEST(TokenShard, WriterReaderRoundTrip) {
  const TempFolder folder;
  for (const int64_t vocab : {100, 65535, 65536, 200000}) {
    TokenShardWriter writer(folder / "s", vocab);
    const auto top = static_cast<int32_t>(vocab - 1);
    writer.add_document(Ids{1, 2, 3});
    writer.add_document(Ids{});
    writer.add_document(Ids{top, 0});
    writer.finish();
    const TokenShard shard(folder / "s");
    EXPECT_EQ(shard.dtype(), vocab <= 65535 ? TokenDtype::kUint16 : TokenDtype::kInt32);
    EXPECT_EQ(shard.num_tokens(), 5);
    EXPECT_EQ(shard.num_documents(), 3);
    EXPECT_EQ(tokens_of(shard, 0, 5), (Ids{1, 2, 3, top, 0}));
    EXPECT_EQ(tokens_of(shard, 2, 4), (Ids{3, top}));
    EXPECT_EQ(tokens_of(shard, 5, 5), Ids{});
    EXPECT_EQ(shard.document(1).size(), 0);
    EXPECT_EQ(shard.document(2).begin, 3);
  }
  EXPECT_EQ(entries_in(folder.path()), 2u);
}

// The bytes are those that Megatron-LM and the acceptance scripts write.
TEST(TokenShard, BytesOnDisk) {
  const TempFolder folder;
  TokenShardWriter writer(folder / "s", 1000);
  writer.add_document(Ids{258, 1});
  writer.add_document(Ids{7});
  writer.finish();
  EXPECT_EQ(content_of(folder / "s.bin"), std::string("\x02\x01\x01\x00\x07\x00", 6));
  EXPECT_EQ(content_of(folder / "s.idx"), index_of(8, {2, 1}, {0, 4}, {0, 1, 2}));
}

TEST(TokenShard, EveryDtype) {
  const TempFolder folder;
  const auto check = [&](uint8_t code, const std::string& bin, int64_t width) {
    folder.write("s.bin", bin);
    folder.write("s.idx", index_of(code, {3}, {0}, {0, 1}));
    const TokenShard shard(folder / "s.bin");
    EXPECT_EQ(token_bytes(shard.dtype()), width);
    EXPECT_EQ(tokens_of(shard, 0, 3), (Ids{1, 100, 5})) << int{code};
  };
  check(1, raw<uint8_t>({1, 100, 5}), 1);
  check(2, raw<int8_t>({1, 100, 5}), 1);
  check(3, raw<int16_t>({1, 100, 5}), 2);
  check(4, raw<int32_t>({1, 100, 5}), 4);
  check(5, raw<int64_t>({1, 100, 5}), 8);
  check(8, raw<uint16_t>({1, 100, 5}), 2);
}

TEST(TokenShard, DocumentsOfSeveralSequencesAndWindows) {
  const TempFolder folder;
  // Sequences of 2, 1, 0, 3, 2 tokens; documents: {0,1}, {2}, {3}, {} and {4}.
  folder.write("s.bin", raw<uint16_t>({0, 1, 2, 3, 4, 5, 6, 7}));
  folder.write("s.idx", index_of(8, {2, 1, 0, 3, 2}, {0, 4, 6, 6, 12}, {0, 2, 3, 4, 4, 5}));
  const TokenShard shard(folder / "s");
  ASSERT_EQ(shard.num_documents(), 5);
  EXPECT_EQ(shard.document(0).end, 3);
  EXPECT_EQ(shard.document(1).size(), 0);
  EXPECT_EQ(shard.document(3).size(), 0);
  EXPECT_EQ(shard.document(4).begin, 6);
  const Offsets owner = {0, 0, 0, 2, 2, 2, 4, 4};
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(shard.document_of(i), owner[static_cast<size_t>(i)]);
  EXPECT_EQ(shard.document_starts(0, 8), (Offsets{3, 6}));
  EXPECT_EQ(shard.document_starts(0, 3), Offsets{});
  EXPECT_EQ(shard.document_starts(0, 4), (Offsets{3}));
  EXPECT_EQ(shard.document_starts(3, 8), (Offsets{3}));
  EXPECT_EQ(shard.document_starts(2, 7), (Offsets{1, 4}));
  EXPECT_EQ(shard.document_starts(5, 5), Offsets{});
}

TEST(TokenShard, IdsOutsideTheVocabularyAreNamed) {
  const TempFolder folder;
  folder.write("s.bin", raw<int64_t>({1, int64_t{1} << 40, -1}));
  folder.write("s.idx", index_of(5, {1, 2}, {0, 8}, {0, 1, 2}));
  const TokenShard shard(folder / "s");
  EXPECT_EQ(tokens_of(shard, 0, 1, 2), (Ids{1}));
  const std::string text = error_text([&] { tokens_of(shard, 0, 3, 1000); });
  EXPECT_NE(text.find("token 1 (in document 1) is outside the vocabulary of 1000"),
            std::string::npos)
      << text;
  EXPECT_THROW(tokens_of(shard, 2, 3, 1000), Error);
  EXPECT_THROW(tokens_of(shard, 0, 4), Error);
  EXPECT_THROW(tokens_of(shard, -1, 1), Error);
  EXPECT_THROW(shard.document(2), Error);
  EXPECT_THROW(shard.document_of(3), Error);
  EXPECT_THROW(shard.document_starts(0, 4), Error);
}

TEST(TokenShard, WriterRefusesForeignIdsAndLeavesNothing) {
  const TempFolder folder;
  {
    TokenShardWriter writer(folder / "s", 10);
    EXPECT_THROW(writer.add_document(Ids{10}), Error);
    EXPECT_THROW(writer.add_document(Ids{-1}), Error);
  }
  EXPECT_EQ(entries_in(folder.path()), 0u);
  EXPECT_THROW(TokenShardWriter(folder / "s", 0), Error);
}

TEST(TokenShard, HostileIndexes) {
  const TempFolder folder;
  folder.write("s.bin", raw<uint16_t>({0, 1, 2}));
  const std::string good = index_of(8, {2, 1}, {0, 4}, {0, 1, 2});
  const auto refused = [&](const std::string& idx) {
    folder.write("s.idx", idx);
    return error_text([&] { TokenShard shard(folder / "s"); });
  };
  ASSERT_EQ(refused(good), "no error");
  for (size_t n = 0; n < good.size(); ++n)
    EXPECT_NE(refused(good.substr(0, n)), "no error") << "truncated to " << n;
  EXPECT_NE(refused(good + "x"), "no error");
  const int64_t huge = INT64_MAX;
  for (const auto& bad :
       {index_of(6, {2, 1}, {0, 4}, {0, 1, 2}), index_of(0, {2, 1}, {0, 4}, {0, 1, 2}),
        index_of(8, {-2, 1}, {0, 4}, {0, 1, 2}), index_of(8, {2, 2}, {0, 4}, {0, 1, 2}),
        index_of(8, {1, 1}, {0, 2}, {0, 1, 2}), index_of(8, {2, 1}, {0, huge}, {0, 1, 2}),
        index_of(8, {2, 1}, {2, 4}, {0, 1, 2}), index_of(8, {2, 1}, {0, -4}, {0, 1, 2}),
        index_of(8, {2, 1}, {0, 4}, {0, 2, 1}), index_of(8, {2, 1}, {0, 4}, {1, 1, 2}),
        index_of(8, {2, 1}, {0, 4}, {0, 1, 3}), index_of(8, {2, 1}, {0, 4}, {0, 1}),
        index_of(8, {2, 1}, {0, 4}, {0, -1, 2}), index_of(8, {INT32_MAX, 1}, {0, 4}, {0, 1, 2})})
    EXPECT_NE(refused(bad), "no error");
  for (size_t bit = 0; bit < good.size() * 8; bit += 3) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    if (refused(flipped) != "no error") continue;
    const TokenShard shard(folder / "s");  // accepted: then every read must stay inside
    EXPECT_EQ(tokens_of(shard, 0, shard.num_tokens()).size(),
              static_cast<size_t>(shard.num_tokens()));
  }
}

TEST(TokenShard, MissingFilesAreNamed) {
  const TempFolder folder;
  EXPECT_NE(error_text([&] { TokenShard shard(folder / "no"); }).find("no.bin"), std::string::npos);
  folder.write("s.bin", "");
  folder.write("s.idx", index_of(8, {}, {}, {0}));
  const TokenShard empty(folder / "s");
  EXPECT_EQ(empty.num_tokens(), 0);
  EXPECT_EQ(empty.num_documents(), 0);
}

}  // namespace
}  // namespace lathe
