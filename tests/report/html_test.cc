#include "lathe/report/html.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

TEST(Html, EscapesAndShowsWhatIsNotText) {
  EXPECT_EQ(html_escaped("<b>&\"\n"), "&lt;b&gt;&amp;&quot;\n");
  EXPECT_EQ(html_escaped("\xff\x01"
                         "é"),
            "\xEF\xBF\xBD\xEF\xBF\xBDé");
}

}  // namespace
}  // namespace lathe
