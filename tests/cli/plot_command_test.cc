// lathe plot on runs written by hand: which numbers it takes, what it says of them, what it
// refuses.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/lab/curves.h"
#include "lathe/report/chart_style.h"

namespace lathe {
namespace {

class Plot : public ::testing::Test {
 protected:
  // Steps 1 to 4 of 10 tokens and `flops` each, validated at 2 and 4.
  void write_run(const std::string& name, double flops, double middle, double last) {
    std::string lines;
    for (int i = 1; i <= 4; ++i) {
      lines += fmt::format(R"({{"step":{},"loss":{},"grad_norm":0.5,"tokens":{},"flops":{}}})", i,
                           5.0 - i, 10 * i, flops * i) +
               "\n";
      if (i % 2 == 0)
        lines += fmt::format(R"({{"step":{},"val_loss":{}}})", i, i == 2 ? middle : last) + "\n";
    }
    folder_.write(name + "/metrics.jsonl", lines);
  }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  CommandResult plot(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "plot");
    arguments.insert(arguments.end(), {"--out", at("out.svg")});
    return run_lathe(arguments);
  }

  TempFolder folder_;
};

TEST_F(Plot, ValidationsStandWhereTrainingWas) {
  write_run("a", 1e9, 4.0, 3.0);
  const auto points = read_curve(at("a"), CurveY::kValidationLoss, CurveX::kFlops);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].x, 2e9);
  EXPECT_EQ(points[0].y, 4.0);
  EXPECT_EQ(points[1].x, 4e9);
  EXPECT_EQ(read_curve(at("a"), CurveY::kValidationLoss, CurveX::kTokens)[1].x, 40);
  EXPECT_EQ(read_curve(at("a"), CurveY::kLoss, CurveX::kStep)[2].y, 2.0);
  EXPECT_EQ(read_curve(at("a"), CurveY::kGradientNorm, CurveX::kStep).size(), 4u);
}

TEST_F(Plot, SaysWhereTheOthersReachTheFirst) {
  write_run("dense", 1e9, 4.0, 3.0);
  write_run("moe", 1e9, 3.5, 2.5);
  write_run("worse", 1e9, 5.0, 4.0);
  const CommandResult r = plot({at("dense"), at("moe"), at("worse"), "--x", "flops", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  EXPECT_EQ(json["reference"]["last"], 3.0);
  EXPECT_DOUBLE_EQ(json["curves"][1]["reaches_reference_at"].get<double>(), 3e9);
  EXPECT_TRUE(json["curves"][2]["reaches_reference_at"].is_null());
  const CommandResult text = plot({at("dense"), at("moe"), at("worse"), "--x", "flops"});
  EXPECT_NE(text.out.find("moe: 2.5000 at flops 4e+09; reaches the 3.0000 of dense at 3e+09, 75 %"),
            std::string::npos)
      << text.out;
  EXPECT_NE(text.out.find("worse: 4.0000 at flops 4e+09; stays above the 3.0000 of dense"),
            std::string::npos)
      << text.out;
  const std::string svg = content_of(folder_ / "out.svg");
  for (const char* part : {">dense<", ">moe<", ">worse<", ">FLOPs<", ">4G<", "<style>"})
    EXPECT_NE(svg.find(part), std::string::npos) << part << "\n" << svg;
}

TEST_F(Plot, ALevelIsALineAcross) {
  write_run("a", 1, 4.0, 3.0);
  write_run("b", 1, 9.0, 3.5);
  const CommandResult r =
      plot({at("a"), "--label", "mine", "--level", at("b"), "--level-label", "theirs", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto json = nlohmann::json::parse(r.out);
  EXPECT_EQ(json["reference"]["label"], "theirs");
  EXPECT_EQ(json["curves"].size(), 1u);
  EXPECT_DOUBLE_EQ(json["curves"][0]["reaches_reference_at"].get<double>(), 3.0);
  const std::string svg = content_of(folder_ / "out.svg");
  EXPECT_NE(svg.find(">mine<"), std::string::npos);
  EXPECT_NE(svg.find(">theirs<"), std::string::npos);
}

TEST_F(Plot, DrawsLossByPosition) {
  folder_.write("rope.json",
                R"({"by_position":[{"from":0,"to":8,"loss":4},{"from":8,"to":16,"loss":3}]})");
  const auto points = read_curve(at("rope.json"), CurveY::kValidationLoss, CurveX::kPosition);
  EXPECT_EQ(points[0].x, 4);
  EXPECT_EQ(points[1].x, 12);
  EXPECT_EQ(plot({at("rope.json"), "--x", "position"}).code, 0);
  EXPECT_NE(content_of(folder_ / "out.svg").find(">rope<"), std::string::npos);
}

TEST_F(Plot, DrawsAnyNumberOfRunsToldApart) {
  std::vector<std::string> arguments;
  for (int i = 0; i < 12; ++i) {
    write_run(fmt::format("run-{}", i), 1e9, 4.0 + i, 3.0 + i);
    arguments.push_back(at(fmt::format("run-{}", i)));
  }
  ASSERT_EQ(plot(arguments).code, 0);
  const std::string svg = content_of(folder_ / "out.svg");
  for (int i = 0; i < 12; ++i) {
    EXPECT_NE(svg.find(fmt::format(">run-{}<", i)), std::string::npos);
    EXPECT_NE(svg.find(fmt::format("<path class=\"line {}\" d=\"M", chart_class(i + 1))),
              std::string::npos);
  }
}

TEST_F(Plot, DrawsGapsAndSaysHowMany) {
  folder_.write("a/metrics.jsonl",
                R"({"step":1,"loss":5,"tokens":10}
{"step":2,"loss":"NaN","tokens":20}
{"step":3,"loss":4,"tokens":30}
{"step":4,"loss":"Infinity","tokens":40}
)");
  const CommandResult r = plot({at("a"), "--y", "loss"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("at step 3; 2 of 4 values are missing or not finite"), std::string::npos)
      << r.out;
  const std::string svg = content_of(folder_ / "out.svg");
  EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
}

TEST_F(Plot, LogarithmicAxesRefuseWhatTheyCannotShow) {
  write_run("a", 1e9, 4.0, 3.0);
  EXPECT_EQ(plot({at("a"), "--log-x", "--log-y"}).code, 0);
  folder_.write("zero/metrics.jsonl", "{\"step\":1,\"loss\":0,\"tokens\":10}\n");
  std::filesystem::remove(folder_ / "out.svg");
  const CommandResult r = plot({at("zero"), "--y", "loss", "--log-y"});
  EXPECT_NE(r.code, 0);
  EXPECT_NE(r.err.find("[--log-y] curve 'zero' has nothing above 0"), std::string::npos) << r.err;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out.svg"));
  EXPECT_EQ(plot({at("zero"), "--y", "loss"}).code, 0) << "leaving the option out works";
  const CommandResult level = plot({at("a"), "--y", "loss", "--log-y", "--level", at("zero")});
  EXPECT_NE(level.err.find("[--level] is at 0"), std::string::npos) << level.err;
  EXPECT_EQ(plot({at("a"), "--y", "loss", "--level", at("zero")}).code, 0);
}

TEST_F(Plot, RunsOfEqualNameAreOneCurveInABand) {
  write_run("s1", 1e9, 4.0, 3.0);
  write_run("s2", 1e9, 5.0, 2.0);
  write_run("b", 1e9, 6.0, 5.5);
  const std::vector<std::string> arguments = {at("s1"),  at("s2"), at("b"),   "--label", "a",
                                              "--label", "a",      "--label", "b",       "--band"};
  const CommandResult r = plot(arguments);
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("a: 2.5000 at step 4, mean of 2 runs from 2.0000 to 3.0000"),
            std::string::npos)
      << r.out;
  const std::string svg = content_of(folder_ / "out.svg");
  EXPECT_NE(svg.find("<path class=\"band c1\" d=\"M"), std::string::npos) << svg;
  EXPECT_NE(svg.find(">a (mean of 2, lowest to highest)<"), std::string::npos);
  EXPECT_EQ(svg.find("<path class=\"band c2\""), std::string::npos) << "one run has no band";
}

TEST_F(Plot, ErrorsSayWhatToDo) {
  write_run("a", 1, 4.0, 3.0);
  folder_.write("old/metrics.jsonl", "{\"step\":1,\"loss\":2,\"tokens\":10}\n");
  folder_.write("foreign.json", "{\"loss\":1}");
  const auto expect_error = [&](std::vector<std::string> arguments, const std::string& part) {
    const CommandResult r = plot(std::move(arguments));
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(part), std::string::npos) << r.err;
    EXPECT_FALSE(std::filesystem::exists(at("out.svg")));
  };
  expect_error({at("old")}, "a validation loss needs data.valid");
  expect_error({at("old"), "--y", "loss", "--x", "flops"}, "FLOPs a run of this version");
  expect_error({at("a"), "--x", "position"}, "lathe eval MODEL --data SHARD --out FILE");
  expect_error({at("foreign.json"), "--x", "position", "--y", "loss"}, "leave it out");
  expect_error({at("foreign.json"), "--x", "position"}, "has no loss by position");
  expect_error({at("a"), "--label", "x", "--label", "y"}, "2 names for 1 curves");
  expect_error({at("a"), at("a"), "--label", "x", "--label", "y", "--band"}, "no two share one");
  expect_error({at("a"), "--level-label", "x"}, "the line of --level RUN");
  expect_error({at("none")}, "holds no metrics.jsonl");
}

}  // namespace
}  // namespace lathe
