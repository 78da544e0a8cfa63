#include "lathe/corpus/documents.h"

#include <gtest/gtest.h>

#include "io/packing.h"
#include "io/temp_folder.h"
#include "lathe/base/rng.h"

namespace lathe {
namespace {

using testing::gzip_packed;
using testing::zstd_packed;

struct Read {
  std::vector<Document> documents;
  DocumentCounts counts;
};

Read read_all(std::vector<std::string> paths, const DocumentConfig& config = {}) {
  Read read;
  const auto files = list_text_files(paths).files;
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
  EXPECT_EQ(read.documents[0].place.file, 0u);
  EXPECT_EQ(read.counts.bytes, 10);
}

TEST(Documents, SplitAtBlankLinesAndSeparators) {
  const TempFolder folder;
  const auto blank = folder.write("a.txt", "\n\none\nmore\n \t\r\n\ntwo\n\n").string();
  auto read = read_all({blank}, {.split = "blank-lines"});
  EXPECT_EQ(texts(read), (Texts{"one\nmore\n", "two\n"}));
  EXPECT_EQ(read.documents[0].place.line, 3);
  EXPECT_EQ(read.documents[1].place.line, 7);
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
  EXPECT_EQ(read.documents[1].place.line, 3);
  EXPECT_EQ(read.counts.blank, 1);
}

TEST(Documents, BadJsonLinesNameFileAndLine) {
  const TempFolder folder;
  const auto text_for = [&](const std::string& second) {
    const auto path = folder.write("a.jsonl", "{\"text\": \"x\"}\n" + second + "\n").string();
    return error_text([&] { read_all({path}); });
  };
  EXPECT_NE(text_for("{\"text\": ").find("a.jsonl:2:"), std::string::npos);
  EXPECT_NE(text_for("[1]").find("a.jsonl:2] is not a JSON object but a JSON array"),
            std::string::npos);
  EXPECT_NE(text_for("{\"body\": \"x\", \"id\": 1}")
                .find("a.jsonl:2] has no field 'text'; its fields are: body, id"),
            std::string::npos);
  EXPECT_NE(text_for("{\"data\": [{\"text\": \"x\"}]}").find("(`jq '.[\"data\"]'`)"),
            std::string::npos);
  EXPECT_NE(text_for("{\"text\": \"a\", \"text\": \"b\"}").find("a.jsonl:2] "), std::string::npos);
  EXPECT_NE(text_for("{\"text\": 3}").find("is of the type number"), std::string::npos);
  EXPECT_NE(text_for("{\"text\": null}").find("a.jsonl:2] the field 'text' is null"),
            std::string::npos);
  EXPECT_NE(text_for("{\"text\": \"\xFF\"}").find("a.jsonl:2:"), std::string::npos);
  EXPECT_NE(text_for(std::string(5000, '[')).find("nested deeper"), std::string::npos);
}

TEST(Documents, OneReaderForEveryFormatAndPacking) {
  const TempFolder folder;
  const Texts want = {"one\n", "two \xE4\xBD\xA0\n\nlines", "three"};
  const std::string lines =
      "{\"text\": \"one\\n\"}\r\n\r\n{\"n\": 1, \"text\": \"two \\u4f60\\n\\nlines\"}\n"
      "{\"text\": \"three\"}";
  const std::string strings = "[\"one\\n\", \"two \xE4\xBD\xA0\\n\\nlines\",\n\"three\"]";
  const std::string objects =
      "[{\"text\": \"one\\n\"},\n {\"text\": \"two \\u4f60\\n\\nlines\", \"x\": [1, {}]},"
      "{\"text\": \"three\"}]";
  const std::string pretty =
      "{\n \"text\": \"one\\n\"\n}\n{\n \"text\": \"two \\u4f60\\n\\nlines\"\n}\n"
      "{\n \"text\": \"three\"}\n";
  for (const std::string& content : {lines, strings, objects, pretty, "\xEF\xBB\xBF" + lines})
    for (const std::string& packed :
         {content, gzip_packed(content), zstd_packed(content),
          gzip_packed(content.substr(0, 7)) + gzip_packed(content.substr(7))})
      for (const char* name : {"f", "f.txt", "f.json", "f.gz", "f.weird"})
        EXPECT_EQ(texts(read_all({folder.write(name, packed).string()})), want)
            << name << ": " << content;
  const std::string plain = "one\n\ntwo\r\nthree\n";
  for (const std::string& packed : {plain, gzip_packed(plain), zstd_packed(plain)}) {
    const auto file = folder.write("g.txt", packed).string();
    EXPECT_EQ(texts(read_all({file})), Texts{plain});
    EXPECT_EQ(texts(read_all({file}, {.split = "blank-lines"})),
              (Texts{"one\n", "two\r\nthree\n"}));
  }
}

TEST(Documents, TheFormatCanBeSaid) {
  const TempFolder folder;
  const auto file = folder.write("code.txt", "{\"text\": \"x\"}\n{\n").string();
  EXPECT_NE(error_text([&] {
              read_all({file});
            }).find("code.txt] begins like JSON and was read as JSON: ["),
            std::string::npos);
  EXPECT_EQ(texts(read_all({file}, {.format = "text"})), (Texts{"{\"text\": \"x\"}\n{\n"}));
  const auto cut = folder.write("cut.txt", "[\"a\",").string();
  EXPECT_NE(error_text([&] { read_all({cut}); }).find("--format text"), std::string::npos);
  const auto strings = folder.write("strings", "\"a\"\n\"b\"\n").string();
  EXPECT_EQ(texts(read_all({strings})).size(), 1u);
  EXPECT_EQ(texts(read_all({strings}, {.format = "jsonl"})), (Texts{"a", "b"}));
}

TEST(Documents, BadRecordsAndFilesAreCounted) {
  const TempFolder folder;
  const std::vector<std::string> paths = {
      folder
          .write("a.jsonl",
                 "{\"text\": null}\n{\"text\": \"good\"}\n{\"text\": \nno json\n{\"body\": "
                 "\"x\"}\n")
          .string(),
      folder.write("b.json", "[{\"text\": 1}, {\"text\": \"fine\"}, {\"text\" \"x\"}]").string(),
      folder.write("c.txt", std::string("\x01\x02\x03\0\xFF", 5)).string(),
      folder.write("d.txt", "plain").string()};
  const Read read = read_all(paths, {.skip_bad = true});
  EXPECT_EQ(texts(read), (Texts{"good", "fine", "plain"}));
  EXPECT_EQ(read.counts.bad_records, 6);
  EXPECT_EQ(read.counts.bad_files, 1);
  EXPECT_NE(read.counts.first_bad.find("a.jsonl:1] the field 'text' is null"), std::string::npos);
  EXPECT_NE(error_text([&] { read_all({paths[2]}); }).find("c.txt] is not UTF-8 text"),
            std::string::npos);
  EXPECT_NE(error_text([&] {
              read_all({paths[2]}, {.skip_bad = true});
            }).find("no text in 1 file ([" + paths[2] + "] is not UTF-8"),
            std::string::npos);
  const auto cut = gzip_packed("some text that is long enough to be cut");
  const auto file = folder.write("cut.gz", cut.substr(0, cut.size() - 4)).string();
  EXPECT_NE(error_text([&] { read_all({file}, {.skip_bad = true}); }).find("cut.gz] ends after"),
            std::string::npos)
      << "half a text is no text of its own";
}

TEST(Documents, BinaryDataBehindATextIsFound) {
  std::string prose, noise;
  while (prose.size() < 700000) prose += "Some words in a line.\n";
  for (uint64_t i = 0; i < 300000; ++i) noise += static_cast<char>(Rng(3).below(i, 256));
  const TempFolder folder;
  const auto file = folder.write("f.txt", prose + noise).string();
  for (const char* split : {"file", "blank-lines"})
    EXPECT_NE(error_text([&] {
                read_all({file}, {.split = split});
              }).find("f.txt] begins like text, but a later part is not UTF-8 text"),
              std::string::npos);
  std::string marked;  // control characters between fields are a text's own
  while (marked.size() < 700000) marked += "field\x01one\x01\xE4\xB8\xAD\n";
  EXPECT_EQ(read_all({folder.write("g.txt", marked).string()}).counts.documents, 1);
}

// A whole file comes in pieces, and white space in front of it is part of it.
TEST(Documents, LargeFilesComeInPieces) {
  struct Pieces : DocumentReceiver {
    std::vector<std::string> texts;
    size_t pieces = 0;
    void begin(const DocumentPlace&) override { texts.emplace_back(); }
    void add(std::string_view piece) override {
      texts.back() += piece;
      ++pieces;
    }
    bool end() override { return true; }
  } sink;
  const TempFolder folder;
  std::string big(300000, '\n');
  for (int i = 0; i < 200000; ++i) big += "word ";
  const std::vector<std::filesystem::path> files = {folder.write("a", gzip_packed(big)),
                                                    folder.write("b", std::string(600000, ' ')),
                                                    folder.write("c", "small")};
  std::vector<int64_t> told;
  const auto counts =
      read_documents(files, {.max_document_mib = 1}, sink, [&](int64_t b) { told.push_back(b); });
  EXPECT_EQ(sink.texts, (Texts{big, "small"}));
  EXPECT_GT(sink.pieces, 4u);
  EXPECT_EQ(counts.blank, 1);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), total_bytes(files));
  EXPECT_THROW(
      for_each_document(files, {.max_document_mib = 1}, [](Document&&) { return true; }, {}),
      Error);
}

TEST(Documents, FoldersAreSearchedInAFixedOrder) {
  const TempFolder folder;
  folder.write("d/b.txt", "b");
  folder.write("d/a/z.md", "z");
  folder.write("d/a/noext", "n");
  folder.write("d/c.jsonl", "{\"text\":\"c\"}");
  folder.write("d/picture.png", "p");
  folder.write("d/a/picture.png", "p");
  folder.write("d/page.tar.gz", "p");
  folder.write("d/.hidden", "h");
  folder.write("d/.git/x.txt", "g");
  const auto last = folder.write("0.weird", "w").string();
  EXPECT_EQ(texts(read_all({(folder / "d").string(), last})), (Texts{"n", "z", "b", "c", "w"}));
  const auto found = list_text_files(std::vector<std::string>{(folder / "d").string()});
  EXPECT_EQ(total_bytes(found.files), 15);
  EXPECT_EQ(found.left_out_text(), "2 .png, 1 .tar.gz");
  EXPECT_EQ(found.left_out_count(), 3);
}

TEST(Documents, EmptyCorporaAndMissingFiles) {
  const TempFolder folder;
  const auto blank = folder.write("a.txt", " \n\n").string();
  EXPECT_NE(error_text([&] {
              read_all({blank});
            }).find("the corpus is empty: there is no text in 1 file"),
            std::string::npos);
  std::filesystem::create_directory(folder / "d");
  EXPECT_NE(error_text([&] { read_all({(folder / "d").string()}); }).find("holds no text files"),
            std::string::npos);
  folder.write("d/x.png", "p");
  EXPECT_NE(error_text([&] {
              read_all({(folder / "d").string()});
            }).find("holds no text files: the 1 in it are 1 .png, expected .txt,"),
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
  const auto files = list_text_files(std::vector<std::string>{many}).files;
  for_each_document(files, {.split = "blank-lines"}, [&](Document&&) { return ++seen < 2; });
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace lathe
