// Lines that survive a kill, and those that do not.
#include "lathe/io/json_lines.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/temp_folder.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

TEST(JsonLines, KeepsWhatIsWantedAndGoesOn) {
  const TempFolder folder;
  folder.write("f", "{\"a\": 1}\n[2]\nno line\n{\"a\": 3}\n{\"a\": 4}\n{\"a\": 5, \"b");
  std::vector<int> seen;
  JsonLines lines(folder / "f", [&](const Json& line) {
    seen.push_back(line["a"]);
    return line["a"] != 3;
  });
  EXPECT_EQ(seen, (std::vector<int>{1, 3, 4}));
  lines.write({{"a", "\xff"}});
  EXPECT_EQ(content_of(folder / "f"), "{\"a\": 1}\n{\"a\": 4}\n{\"a\":\"\xEF\xBF\xBD\"}\n");
}

TEST(JsonLines, ARefusalChangesNothing) {
  const TempFolder folder;
  folder.write("f", "{\"a\": 1}\n{\"a\": 2}\n");
  EXPECT_THROW(JsonLines(folder / "f",
                         [](const Json& line) -> bool {
                           if (line["a"] == 2) throw Error(ErrorKind::kData, "f", "is wrong");
                           return false;
                         }),
               Error);
  EXPECT_EQ(content_of(folder / "f"), "{\"a\": 1}\n{\"a\": 2}\n");
}

}  // namespace
}  // namespace lathe
