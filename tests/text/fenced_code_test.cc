// Which part of an answer is its code.
#include "lathe/text/fenced_code.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace lathe {
namespace {

TEST(CodeOf, IsTheLastBlockOrAllOfIt) {
  for (const auto& [answer, code] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"x = 1\n", "x = 1\n"},
           {"So:\n```python\nx = 1\n```\nor\n```\ny = 2\n```\nDone.", "y = 2\n"},
           {"```py\nx = 1\n", "x = 1\n"},
           {"```\na\n```\n```python\nb", "b"},
           {"~~~~\na\n~~~\nb\n~~~~\n", "a\n~~~\nb\n"},
           {"  ````\n```\nx\n```\n````", "```\nx\n```\n"},
           {"```\nx = '''\n```python\n'''\n```\n", "x = '''\n```python\n'''\n"},
           {"say ```x``` and\n```y``` too", "say ```x``` and\n```y``` too"},
           {"    ```\nx", "    ```\nx"},
           {"```", ""},
           {"```\n```", ""},
           {"```\r\nx\r\n```\r\n", "x\r\n"}})
    EXPECT_EQ(code_of(answer), code) << answer;
}

}  // namespace
}  // namespace lathe
