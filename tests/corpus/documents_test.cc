#include "lathe/corpus/documents.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"

namespace lathe {
namespace {

struct Read {
  std::vector<Document> documents;
  DocumentCounts counts;
};

Read read_all(std::vector<std::string> paths, const DocumentConfig& config = {}) {
  Read read;
  const auto files = list_text_files(paths);
  read.counts = for_each_document(files, config, [&](Document&& d) {
    read.documents.push_back(std::move(d));
    return true;
  });
  return read;
}

std::vector<std::string> texts(const Read& read) {
  std::vector<std::string> out;
  for (const auto& d : read.documents) out.push_back(d.text);
  return out;
}

using Texts = std::vector<std::string>;

TEST(Documents, WholeFiles) {
  const TempFolder folder;
  const auto a = folder.write("a.txt", "\xEF\xBB\xBFone\n\ntwo\xFF\n").string();
  const auto read = read_all({a});
  EXPECT_EQ(texts(read), (Texts{"one\n\ntwo\xFF\n"}));
  EXPECT_EQ(read.documents[0].source, a);
  EXPECT_EQ(read.counts.bytes, 10);
}

TEST(Documents, SplitAtBlankLinesAndSeparators) {
  const TempFolder folder;
  const auto blank = folder.write("a.txt", "\n\none\nmore\n \t\r\n\ntwo\n\n").string();
  auto read = read_all({blank}, {.split = "blank-lines"});
  EXPECT_EQ(texts(read), (Texts{"one\nmore\n", "two\n"}));
  EXPECT_EQ(read.documents[0].line, 3);
  EXPECT_EQ(read.documents[1].line, 7);
  const auto fortune = folder.write("b", "first\n%\n\n%\nsecond % no\nx\n%\r\nlast").string();
  read = read_all({fortune}, {.split = "separator"});
  EXPECT_EQ(texts(read), (Texts{"first\n", "second % no\nx\n", "last\n"}));
  EXPECT_EQ(read.counts.blank, 1);
}

TEST(Documents, JsonLines) {
  const TempFolder folder;
  const auto path =
      folder
          .write("a.jsonl",
                 "{\"text\": \"one \\u4f60\"}\n\n{\"id\": 3, \"text\": \"two\\nlines\"}\n"
                 "{\"text\": \"  \"}\n{\"text\": \"last\"}")
          .string();
  const auto read = read_all({path});
  EXPECT_EQ(texts(read), (Texts{"one \xE4\xBD\xA0", "two\nlines", "last"}));
  EXPECT_EQ(read.documents[1].line, 3);
  EXPECT_EQ(read.counts.blank, 1);
}

TEST(Documents, BadJsonLinesNameFileAndLine) {
  const TempFolder folder;
  const auto text_for = [&](const std::string& second) {
    const auto path = folder.write("a.jsonl", "{\"text\": \"x\"}\n" + second + "\n").string();
    return error_text([&] { read_all({path}); });
  };
  EXPECT_NE(text_for("{\"text\": ").find("a.jsonl:2:"), std::string::npos);
  EXPECT_NE(text_for("[1]").find("a.jsonl:2] is not a JSON object"), std::string::npos);
  EXPECT_NE(text_for("{\"body\": \"x\", \"id\": 1}")
                .find("a.jsonl:2] has no string field 'text'; its fields are: body, id"),
            std::string::npos);
  EXPECT_NE(text_for("{\"text\": 3}").find("no string field"), std::string::npos);
  EXPECT_NE(text_for("{\"text\": \"\xFF\"}").find("a.jsonl:2:"), std::string::npos);
  EXPECT_NE(text_for(std::string(5000, '[')).find("nested deeper"), std::string::npos);
}

TEST(Documents, FoldersAreSearchedInAFixedOrder) {
  const TempFolder folder;
  folder.write("d/b.txt", "b");
  folder.write("d/a/z.md", "z");
  folder.write("d/a/noext", "n");
  folder.write("d/c.jsonl", "{\"text\":\"c\"}");
  folder.write("d/picture.png", "p");
  folder.write("d/.hidden", "h");
  folder.write("d/.git/x.txt", "g");
  const auto last = folder.write("0.weird", "w").string();
  EXPECT_EQ(texts(read_all({(folder / "d").string(), last})), (Texts{"n", "z", "b", "c", "w"}));
  EXPECT_EQ(total_bytes(list_text_files(std::vector<std::string>{(folder / "d").string()})), 15);
}

TEST(Documents, EmptyCorporaAndMissingFiles) {
  const TempFolder folder;
  const auto blank = folder.write("a.txt", " \n\n").string();
  EXPECT_NE(
      error_text([&] { read_all({blank}); }).find("the corpus is empty: 1 files hold no text"),
      std::string::npos);
  std::filesystem::create_directory(folder / "d");
  EXPECT_NE(error_text([&] { read_all({(folder / "d").string()}); }).find("holds no text files"),
            std::string::npos);
  EXPECT_NE(error_text([&] { read_all({(folder / "no").string()}); }).find("does not exist"),
            std::string::npos);
}

TEST(Documents, SizeLimitsAndStopping) {
  const TempFolder folder;
  const auto big = folder.write("big.txt", std::string(3 << 20, 'x')).string();
  EXPECT_NE(error_text([&] { read_all({big}, {.max_document_mib = 1}); }).find("larger than"),
            std::string::npos);
  EXPECT_NE(error_text([&] {
              read_all({big}, {.split = "blank-lines", .max_document_mib = 2});
            }).find("big.txt:1] the line is longer"),
            std::string::npos);
  EXPECT_EQ(read_all({big}, {.split = "blank-lines"}).documents[0].text.size(), (3u << 20) + 1);
  const auto many = folder.write("many.txt", "a\n\nb\n\nc\n").string();
  int seen = 0;
  const auto files = list_text_files(std::vector<std::string>{many});
  for_each_document(files, {.split = "blank-lines"}, [&](Document&&) { return ++seen < 2; });
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace lathe
