#include <gtest/gtest.h>

#include <fstream>

#include "io/temp_folder.h"
#include "lathe/base/error.h"
#include "lathe/documents/index/index_update.h"
#include "lathe/documents/index/postings.h"
#include "lathe/documents/search/document_index.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

// Counts letters: texts with the same letters are near.
class Letters : public DocumentEncoder {
 public:
  explicit Letters(std::string identity = "letters") : identity_(std::move(identity)) {}
  std::string identity() const override { return identity_; }
  std::string path() const override { return "encoders/" + identity_; }
  int64_t dimensions() const override { return 26; }
  int64_t tokens(std::string_view text) const override { return std::ssize(text) / 4 + 1; }
  void encode(std::span<const std::string> texts, float* out) override {
    texts_ += std::ssize(texts);
    for (const std::string& text : texts) {
      std::fill(out, out + 26, 0.01F);
      for (const char c : text)
        if (c >= 'a' && c <= 'z') ++out[c - 'a'];
      float norm = 0;
      for (int i = 0; i < 26; ++i) norm += out[i] * out[i];
      for (int i = 0; i < 26; ++i) out[i] /= std::sqrt(norm);
      out += 26;
    }
  }
  int64_t texts() const { return texts_; }

 private:
  std::string identity_;
  int64_t texts_ = 0;
};

class Index : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const auto path = folder_ / "docs" / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  IndexReport update(const std::string& out = "index", DocumentEncoder* encoder = nullptr) {
    return update_index({.folders = {folder_ / "docs"},
                         .out = folder_ / out,
                         .encoder = encoder ? encoder : &letters_,
                         .chunk_tokens = 32,
                         .overlap = 8});
  }
  std::vector<FoundChunk> found(const std::string& question, SearchMode mode = SearchMode::kHybrid,
                                int64_t k = 10, const std::string& out = "index") {
    DocumentIndex index(folder_ / out);
    std::vector<float> vector(26);
    letters_.encode(std::span(&question, 1), vector.data());
    return index.search(question, vector, mode, k);
  }
  std::string first(const std::string& question, SearchMode mode = SearchMode::kHybrid) {
    const auto all = found(question, mode);
    return all.empty() ? "" : std::filesystem::path(all.front().path).filename().string();
  }

  TempFolder folder_;
  Letters letters_;
};

TEST_F(Index, FindsPassagesWithTheirBytes) {
  write("a.txt", "The heron stands.\n\nIt rains in the valley of the mill, and the river rises.");
  write("sub/b.md", "# Birds\n\nAn owl sleeps by day.\n\n## Rare ones\n\nThe bittern booms.");
  write("c.html", "<p>A <b>kingfisher</b> dives.</p>");
  const IndexReport report = update();
  EXPECT_EQ(report.files, 3);
  EXPECT_EQ(report.read, 3);
  EXPECT_TRUE(report.skipped.empty());
  for (const auto mode : {SearchMode::kHybrid, SearchMode::kBm25}) {
    EXPECT_EQ(first("heron", mode), "a.txt");
    EXPECT_EQ(first("bittern booms", mode), "b.md");
    EXPECT_EQ(first("kingfisher", mode), "c.html");
  }
  EXPECT_EQ(first("owl sleeps", SearchMode::kVector), "b.md");
  for (const FoundChunk& one : found("the heron of the mill")) {
    const std::string file = read_file(one.path);
    EXPECT_EQ(file.substr(static_cast<size_t>(one.begin), static_cast<size_t>(one.end - one.begin)),
              one.text);
  }
  EXPECT_EQ(found("bittern", SearchMode::kBm25).front().trail, "Birds > Rare ones");
  EXPECT_TRUE(found("xylophone", SearchMode::kBm25).empty());
  EXPECT_EQ(found("xylophone", SearchMode::kHybrid, 2).size(), 2u);
}

TEST_F(Index, IsThatOfAnIndexMadeAtOnce) {
  for (int i = 0; i < 12; ++i)
    write(std::to_string(i) + ".txt",
          "common words\n\nthe number " + std::string(1, static_cast<char>('a' + i)));
  update();
  for (int round = 0; round < 10; ++round) {
    write("0.txt", "common words\n\nround " + std::to_string(round));
    std::filesystem::remove(folder_ / "docs" / (std::to_string(round + 1) + ".txt"));
    write("new" + std::to_string(round) + ".txt", "common words and new words");
    const int64_t before = letters_.texts();
    EXPECT_EQ(update().read, 2);
    EXPECT_LE(letters_.texts() - before, 2);  // what was known keeps its vector
  }
  EXPECT_EQ(update().read, 0);
  update("fresh");
  for (const auto mode : {SearchMode::kHybrid, SearchMode::kBm25, SearchMode::kVector})
    for (const std::string question : {"common", "new words", "round 9", "the number l"}) {
      const auto grown = found(question, mode), fresh = found(question, mode, 10, "fresh");
      ASSERT_EQ(grown.size(), fresh.size());
      for (size_t i = 0; i < grown.size(); ++i) {
        EXPECT_EQ(grown[i].path, fresh[i].path);
        EXPECT_EQ(grown[i].begin, fresh[i].begin);
        EXPECT_EQ(grown[i].score, fresh[i].score);
      }
    }
}

TEST_F(Index, NamesWhatItSkips) {
  write("good.txt", "a heron");
  write("bad.txt", "\xFF\xFE broken");
  write("zero.txt", std::string("a\0b", 3));
  write("some.bin", "x");
  write("empty.txt", "");
  write(".hidden.txt", "not seen");
  std::filesystem::create_directory_symlink("..", folder_ / "docs" / "loop");
  const IndexReport report = update();
  EXPECT_EQ(report.files, 2);
  ASSERT_EQ(report.skipped.size(), 3u);
  EXPECT_TRUE(report.skipped[0].path.ends_with("bad.txt"));
  EXPECT_NE(report.skipped[0].reason.find("UTF-8"), std::string::npos);
  EXPECT_NE(report.skipped[1].reason.find(".bin"), std::string::npos);
  EXPECT_EQ(update().read, 0);
  EXPECT_EQ(first("heron"), "good.txt");
}

TEST_F(Index, KeepsWhatWasReadWhenItIsStopped) {
  for (int i = 0; i < 6; ++i) write(std::to_string(i) + ".txt", "heron " + std::to_string(i));
  int files = 0;
  IndexRequest request{.folders = {folder_ / "docs"},
                       .out = folder_ / "index",
                       .encoder = &letters_,
                       .chunk_tokens = 32,
                       .overlap = 8};
  request.on_progress = [&](int64_t, int64_t) {
    if (++files == 4) fail(ErrorKind::kInterrupted, "index", "stopped on request");
  };
  EXPECT_THROW(update_index(request), Error);
  EXPECT_EQ(found("heron", SearchMode::kBm25).size(), 3u);
  EXPECT_EQ(update().read, 3);
}

TEST_F(Index, RefusesWhatItWasNotMadeWith) {
  write("a.txt", "a heron");
  update();
  Letters other("other");
  EXPECT_THROW(update("index", &other), Error);
  EXPECT_THROW(update_index({.folders = {folder_ / "docs"}, .out = folder_ / "index"}), Error);
  EXPECT_THROW(update_index({.folders = {folder_ / "docs"}, .out = folder_ / "docs"}), Error);
  EXPECT_THROW(update_index({.folders = {folder_ / "nothing"}, .out = folder_ / "i"}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "i"));
  EXPECT_THROW(DocumentIndex(folder_ / "docs"), Error);
  EXPECT_EQ(update().files, 1);
}

TEST_F(Index, DamageIsFound) {
  for (int i = 0; i < 300; ++i)
    write(std::to_string(i) + ".txt", "heron and mill " + std::to_string(i));
  update();
  const auto database = folder_ / "index" / "index.sqlite";
  const auto vectors = folder_ / "index" / "vectors.f32";
  std::filesystem::copy(folder_ / "index", folder_ / "copy",
                        std::filesystem::copy_options::recursive);
  std::filesystem::resize_file(vectors, std::filesystem::file_size(vectors) - 4);
  EXPECT_THROW(DocumentIndex(folder_ / "index"), Error);
  std::filesystem::resize_file(folder_ / "copy" / "index.sqlite",
                               std::filesystem::file_size(database) / 2);
  EXPECT_THROW(found("heron", SearchMode::kHybrid, 10, "copy"), Error);
  std::ofstream(folder_ / "copy" / "index.sqlite", std::ios::trunc) << "no database";
  EXPECT_THROW(DocumentIndex(folder_ / "copy"), Error);
}

TEST(Postings, WhatIsWrittenIsRead) {
  PostingsWriter writer;
  const std::vector<std::pair<int64_t, int64_t>> all = {
      {1, 1}, {2, 300}, {1000, 5}, {int64_t{1} << 33, 1}};
  for (const auto& [piece, times] : all) writer.add(piece, times);
  PostingsReader reader(writer.bytes());
  for (const auto& [piece, times] : all) {
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.piece(), piece);
    EXPECT_EQ(reader.times(), times);
  }
  EXPECT_FALSE(reader.next());
  const std::string endless(40, '\xFF');
  PostingsReader broken(endless);
  EXPECT_FALSE(broken.next());
}

}  // namespace
}  // namespace lathe
