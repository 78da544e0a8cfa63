#include <gtest/gtest.h>

#include <cmath>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/manifest.h"
#include "lathe/lab/run_facts.h"
#include "lathe/lab/run_page.h"

namespace lathe {
namespace {

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

TEST(Report, ShowsWhatTheRunForgot) {
  const TempFolder folder;
  folder.write("metrics.jsonl", R"({"step":0,"old_loss.<web>":2.5,"old_loss.code":1.25})"
                                "\n"
                                R"({"step":1,"loss":3})"
                                "\n"
                                R"({"step":1,"old_loss.<web>":2.75,"old_loss.code":"NaN"})"
                                "\n");
  ASSERT_EQ(run_lathe({"report", folder.path().string()}).code, 0);
  const std::string page = content_of(folder / "report.html");
  EXPECT_NE(page.find("<td>&lt;web&gt;</td><td class=\"n\">2.500</td><td class=\"n\">2.750</td><td "
                      "class=\"n\">+0.250</td>"),
            std::string::npos);
  EXPECT_NE(page.find("<td>code</td><td class=\"n\">1.250</td><td class=\"n\">not finite</td>"),
            std::string::npos);
}

// The last one: the legend has a stroke of the same class.
std::string path_with(const std::string& page, const std::string& class_name) {
  const size_t at = page.rfind("<path class=\"" + class_name + "\" d=\"M");
  return at == std::string::npos ? "" : page.substr(at, page.find("/>", at) - at);
}

TEST(Report, WhatIsMissingOrNotFiniteIsAGap) {
  const TempFolder folder;
  std::string lines;
  for (int i = 1; i <= 9; ++i)
    lines += fmt::format(R"({{"step":{},"loss":{},"grad_norm":{},"step_ms":10{}}})", i,
                         i == 5 ? "\"NaN\"" : "5.5", i == 5 ? "\"Infinity\"" : "7.5",
                         i == 4 ? "" : R"(,"mfu":0.5)") +
             "\n";
  // The spelling of older runs.
  lines += R"({"step":10,"loss":null,"grad_norm":7.5})";
  folder.write("metrics.jsonl", lines + "\n{\"step\":10,\"val_loss\":\"NaN\"}\n");
  const RunData run = read_run(folder.path());
  EXPECT_TRUE(std::isnan(run.steps[4].loss));
  EXPECT_TRUE(std::isinf(run.steps[4].grad_norm));
  EXPECT_TRUE(std::isnan(run.steps[9].loss));
  EXPECT_TRUE(std::isnan(run.steps[0].tokens));
  const CommandResult r = run_lathe({"report", folder.path().string()});
  ASSERT_EQ(r.code, 0) << r.err;
  const std::string page = content_of(folder / "report.html");
  const std::string loss = path_with(page, "line c1");
  EXPECT_NE(loss.find(" M"), std::string::npos) << "no line through step 5: " << loss;
  EXPECT_EQ(page.find(">0<"), std::string::npos) << "a gap is no zero on an axis";
  EXPECT_EQ(page.find(">nan"), std::string::npos);
  EXPECT_NE(page.find("not finite"), std::string::npos) << "the validation loss at the end";
  EXPECT_NE(page.find("<b>50 %</b>"), std::string::npos) << "of the lines that have an MFU";
  EXPECT_EQ(page.find("tokens trained on"), std::string::npos) << "nothing says how many";
  EXPECT_EQ(page.find("Tokens a second"), std::string::npos);
}

TEST(Report, EveryRunHasParametersRecipeAndMachine) {
  const TempFolder folder;
  // A step of 2e9 FLOPs in 10 ms at an MFU of 0.5: 400 GFLOP/s.
  folder.write("metrics.jsonl", R"({"step":1,"loss":5,"flops":2e9,"step_ms":10,"mfu":0.5})"
                                "\n"
                                R"({"step":2,"loss":4,"flops":4e9,"step_ms":10,"mfu":0.5})"
                                "\n");
  folder.write("recipe.json",
               R"({"model":{"vocab_size":8,"hidden_size":4,"num_hidden_layers":1,)"
               R"("num_attention_heads":1,"intermediate_size":8},"data":{"train":"x"}})");
  Manifest manifest = new_manifest("checkpoint", "lathe train");
  manifest.cpu = "a processor of 1999";
  manifest.threads = 77;
  const auto checkpoint = folder / "checkpoints/step-00000002";
  std::filesystem::create_directories(checkpoint);
  write_manifest(manifest_path(checkpoint, true), manifest);
  const RunFacts facts = read_facts(read_run(folder.path()));
  // Two tables of 8x4, four matrices of 4x4, three of 4x8, three norms of 4.
  EXPECT_EQ(facts.parameters, 2 * 32 + 4 * 16 + 3 * 32 + 3 * 4) << facts.problem;
  ASSERT_EQ(run_lathe({"report", folder.path().string()}).code, 0);
  const std::string page = content_of(folder / "report.html");
  for (const char* part : {"<b>236</b><span>parameters", "a processor of 1999", "<td>77</td>",
                           "400 GFLOP/s", "<h2>Recipe</h2>", "hidden_size = 4"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

TEST(Report, SaysWhyParametersCouldNotBeCounted) {
  const TempFolder folder;
  folder.write("metrics.jsonl", "{\"step\":1,\"loss\":5}\n");
  folder.write("recipe.json", R"({"model":{"hidden_siz":4}})");
  ASSERT_EQ(run_lathe({"report", folder.path().string()}).code, 0);
  const std::string page = content_of(folder / "report.html");
  EXPECT_NE(page.find("could not be counted"), std::string::npos);
  EXPECT_NE(page.find("hidden_siz"), std::string::npos);
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
