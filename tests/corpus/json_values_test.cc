#include "lathe/corpus/json_values.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/corpus/json_scanner.h"

namespace lathe {
namespace {

using Values = std::vector<std::string>;

class JsonValuesTest : public ::testing::Test {
 protected:
  Values values(const std::string& text, size_t limit = 1 << 20) {
    JsonValues reader(PackedFile(folder_.write("f.json", text)), limit);
    Values out;
    std::string_view value;
    lines_.clear();
    while (reader.next(value)) {
      out.emplace_back(value);
      lines_.push_back(reader.line_number());
    }
    EXPECT_FALSE(reader.next(value)) << "the end is the end";
    return out;
  }
  std::string error(const std::string& text, size_t limit = 1 << 20) {
    return error_text([&] { values(text, limit); });
  }
  TempFolder folder_;
  std::vector<int64_t> lines_;
};

TEST_F(JsonValuesTest, ElementsOfAnArray) {
  EXPECT_EQ(values(R"([{"a": "]}\"{"}, "x, y", 3, [1, [2]] , null])"),
            (Values{R"({"a": "]}\"{"})", "\"x, y\"", "3", "[1, [2]]", "null"}));
  EXPECT_EQ(values(" [\r\n {\"a\": 1\n},\n\n\"b\" ] \n"), (Values{"{\"a\": 1\n}", "\"b\""}));
  EXPECT_EQ(lines_, (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(values("[]"), Values{});
  EXPECT_EQ(values(" [ ] "), Values{});
  EXPECT_EQ(values(""), Values{});
}

TEST_F(JsonValuesTest, ValuesBehindOneAnother) {
  EXPECT_EQ(values("{\n\"a\": 1\n}\n{\"b\": [2]}{} \"s\" 12 true\n"),
            (Values{"{\n\"a\": 1\n}", "{\"b\": [2]}", "{}", "\"s\"", "12", "true"}));
  EXPECT_EQ(lines_, (std::vector<int64_t>{1, 4, 4, 4, 4, 4}));
}

TEST_F(JsonValuesTest, ValuesLongerThanTheBuffer) {
  const std::string big = "\"" + std::string(300000, 'x') + "\\\"\"";
  std::string array = "[";
  for (int i = 0; i < 20; ++i) array += (i > 0 ? "," : "") + big;
  EXPECT_EQ(values(array + "]"), Values(20, big));
  EXPECT_NE(error(array + "]", 1000).find("f.json:1] the JSON value that begins here is larger"),
            std::string::npos);
}

TEST_F(JsonValuesTest, DamageIsNamedWithItsLine) {
  EXPECT_NE(error("[\n\"a\",\n").find("f.json:3] the JSON array is not closed"), std::string::npos);
  EXPECT_NE(error("[").find("is not closed"), std::string::npos);
  EXPECT_NE(error("[\"a\",]").find("expected a JSON value after the comma"), std::string::npos);
  EXPECT_NE(error("[\"a\" \"b\"]").find("expected a comma"), std::string::npos);
  EXPECT_NE(error("[,1]").find("f.json:1] expected"), std::string::npos);
  EXPECT_NE(error("[1]\n{}").find("f.json:2] something follows the JSON array"), std::string::npos);
  EXPECT_NE(error("[1]]").find("something follows"), std::string::npos);
  EXPECT_NE(error("}").find("expected a JSON value, found '}'"), std::string::npos);
  EXPECT_EQ(values(std::string("[1\0]", 4)), Values{std::string("1\0", 2)})
      << "the parser refuses it";
  EXPECT_NE(error("[{\"a\": 1").find("is not closed"), std::string::npos);
}

TEST(JsonScanner, GoesOnInTheNextPiece) {
  const std::string value = R"({"a\\\"}": [1, {"b": "]"}], "c": "d"})";
  for (size_t cut = 0; cut <= value.size(); ++cut) {
    JsonScanner scanner;
    const std::string text = value + ",1";
    size_t length = scanner.scan(text.substr(0, cut));
    if (!scanner.ended()) length += scanner.scan(text.substr(cut));
    EXPECT_EQ(length, value.size()) << "cut at " << cut;
    EXPECT_TRUE(scanner.ended());
  }
}

}  // namespace
}  // namespace lathe
