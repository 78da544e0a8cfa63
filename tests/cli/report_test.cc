#include <gtest/gtest.h>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/cli/report/html.h"
#include "lathe/cli/report/page.h"

namespace lathe {
namespace {

TEST(Chart, TicksAreRoundAndInside) {
  EXPECT_EQ(axis_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(4.1, 5.2, 5), axis_ticks(4.1, 5.2, 5));
  for (const double t : axis_ticks(-0.37, 0.91, 4)) {
    EXPECT_GE(t, -0.37);
    EXPECT_LE(t, 0.91);
  }
  EXPECT_TRUE(axis_ticks(1, 1, 5).empty());
}

TEST(Chart, SmoothingIsUnbiasedAtTheStart) {
  const auto s = smoothed({{1, 5}, {2, 5}, {3, 5}}, 0.9);
  for (const ChartPoint& p : s) EXPECT_NEAR(p.y, 5, 1e-12);
  EXPECT_NEAR(smoothed({{1, 0}, {2, 1}}, 0.5)[1].y, 2.0 / 3, 1e-12);
}

TEST(Chart, SurvivesEmptyConstantAndNotFiniteSeries) {
  for (const std::vector<ChartPoint>& points :
       {std::vector<ChartPoint>{}, {{1, 2}}, {{1, 3}, {2, 3}}, {{1, NAN}, {2, INFINITY}, {3, 1}}}) {
    const std::string svg = draw_chart(
        {.title = "a < b", .series = {{.name = "x", .points = points}}}, ChartUse::kFile);
    EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << svg;
    EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  }
}

TEST(Html, EscapesAndShowsWhatIsNotText) {
  EXPECT_EQ(html_escaped("<b>&\"\n"), "&lt;b&gt;&amp;&quot;\n");
  EXPECT_EQ(html_escaped("\xff\x01"
                         "é"),
            "\xEF\xBF\xBD\xEF\xBF\xBDé");
}

TEST(Report, DrawsARunAndEscapesItsTexts) {
  const TempFolder folder;
  std::string lines;
  for (int i = 1; i <= 2000; ++i)
    lines += fmt::format(
        "{{\"step\":{},\"loss\":{},\"lr\":0.001,\"grad_norm\":1.0,\"tokens\":{},\"tokens_per_s\":"
        "100.0,\"step_ms\":10}}\n",
        i, 9.0 / i, i * 8);
  lines +=
      "{\"step\":2000,\"val_loss\":1.25,\"val_bits_per_byte\":0.5}\n{\"step\":2000,\"sample\":\"<"
      "script>alert(1)</script>\"}\n{\"step\":2001,\"lo";
  folder.write("run/metrics.jsonl", lines);
  const CommandResult r =
      run_lathe({"report", (folder / "run").string(), "--charts", (folder / "svg").string()});
  ASSERT_EQ(r.code, 0) << r.err;
  const std::string page = content_of(folder / "run/report.html");
  EXPECT_NE(page.find("1.250"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("src="), std::string::npos) << "nothing may be fetched";
  EXPECT_LT(page.size(), 200'000u) << "2,000 steps are thinned to what can be seen";
  EXPECT_NE(content_of(folder / "svg/loss.svg").find("<style>"), std::string::npos);
}

TEST(Report, ErrorsNameWhatIsMissing) {
  const TempFolder folder;
  EXPECT_NE(run_lathe({"report", folder.path().string()}).err.find("holds no metrics.jsonl"),
            std::string::npos);
  folder.write("metrics.jsonl", "");
  EXPECT_NE(run_lathe({"report", folder.path().string()}).err.find("no training step yet"),
            std::string::npos);
  folder.write("metrics.jsonl", "{\"step\":1,\"loss\":2}\nnot json\n{\"step\":2,\"loss\":2}\n");
  EXPECT_NE(run_lathe({"report", folder.path().string()}).err.find("line 2 is not a JSON object"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
