// What becomes of rows that are too long or have nothing to learn, of files, and of rows that share a sequence.

#include <set>

#include "train/example_testing.h"

namespace lathe::testing {
namespace {

// Prompt and answer are counted apart, and a prompt is never cut.
TEST_F(Examples, OfAnEncoderAreShortenedApart) {
  options_.encoder = true;
  options_.seq_len = 3;
  const char* rows = R"({"prompt_ids": [72, 73, 74], "completion_ids": [75, 76, 77]}
{"prompt_ids": [72], "completion_ids": [75, 76, 77, 78]}
{"prompt_ids": [72, 73, 74, 75], "completion_ids": [75]})";
  EXPECT_EQ(texts_of(read(rows)), Texts({"HIJ > KLM"}));
  for (const char* mode : {"keep_start", "keep_end"}) {
    options_.truncation = mode;
    const ExampleSet set = read(rows);
    EXPECT_EQ(texts_of(set), Texts({"HIJ > KLM", "H > KLM"})) << mode;
    EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{{"too_long", 1}})) << mode;
  }
}

TEST_F(Examples, AreShortenedAsAsked) {
  options_.seq_len = 4;
  const char* rows = R"({"prompt_ids": [72, 73], "completion_ids": [75, 76]}
{"prompt_ids": [72, 73], "completion_ids": [75, 76, 77], "completion_mask": [1, 0, 1]}
{"prompt_ids": [72, 73], "completion_ids": [75, 76, 77], "completion_mask": [0, 0, 1]}
{"prompt_ids": [72, 73, 74, 75], "completion_ids": [75]}
{"prompt_ids": [72], "completion_ids": [75, 76, 77, 78]})";
  const ExampleSet dropped = read(rows);
  EXPECT_EQ(texts_of(dropped), Texts({"HI > KL"}));
  EXPECT_EQ(dropped.skipped, (std::map<std::string, int64_t>{{"too_long", 4}}));
  EXPECT_EQ(said_, "of 5 rows these were left out: 4 too_long\n");
  options_.truncation = "keep_start";
  const ExampleSet start = read(rows);
  EXPECT_EQ(texts_of(start), Texts({"HI > KL", "HI > K{L}", "H > KLM"}));
  EXPECT_EQ(start.skipped, (std::map<std::string, int64_t>{{"too_long", 2}}));
  EXPECT_EQ(start.changed, (std::map<std::string, int64_t>{{"shortened to 4 tokens", 2}}));
  EXPECT_NE(said_.find("of 5 rows: 2 shortened to 4 tokens\n"), std::string::npos) << said_;
  options_.truncation = "keep_end";
  const ExampleSet end = read(rows);
  EXPECT_EQ(texts_of(end), Texts({"HI > KL", "I > K{L}M", "I > {KL}M", "IJK > K"}));
  EXPECT_EQ(end.skipped, (std::map<std::string, int64_t>{{"too_long", 1}}));
}

TEST_F(Examples, ShortenedKeepTheirNumbers) {
  options_.kind = ExampleKind::kRollout;
  options_.seq_len = 3;
  options_.truncation = "keep_start";
  const ExampleSet set = read(
      R"({"prompt_ids": [72], "completion_ids": [74, 75, 76], "reward": 1, "old_logps": [-1, -2, -3], "old_values": [1, 2, 3]})");
  EXPECT_EQ(texts_of(set), Texts({"H > JK"}));
  EXPECT_EQ(set.examples[0].old_logps, (std::vector<double>{-1, -2}));
  EXPECT_EQ(set.examples[0].old_values, (std::vector<double>{1, 2}));
}

TEST_F(Examples, OfPairsAreShortenedTogether) {
  options_.kind = ExampleKind::kPair;
  options_.seq_len = 4;
  const char* rows = R"({"prompt_ids": [72, 73], "chosen_ids": [75, 76, 77], "rejected_ids": [78]}
{"prompt_ids": [72, 73], "chosen_ids": [75, 76, 77], "rejected_ids": [75, 76, 78]}
{"prompt_ids": [72, 73], "chosen_ids": [75], "rejected_ids": [78, 79]})";
  options_.truncation = "keep_start";
  const ExampleSet set = read(rows);
  EXPECT_EQ(texts_of(set), Texts({"HI > KL > N", "HI > K > NO"}));
  // Where the cut leaves the same, there is nothing to prefer.
  EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{{"equal_answers", 1}}));
  options_.truncation = "keep_end";
  EXPECT_EQ(texts_of(read(rows)), Texts({"I > KLM > N", "I > KLM > KLN", "HI > K > NO"}));
}

TEST_F(Examples, LeftOutAreCounted) {
  options_.kind = ExampleKind::kPair;
  const ExampleSet set = read(R"({"prompt": "HI", "chosen": "A", "rejected": "B"}
{"prompt": "HI", "chosen": "A", "rejected": "A"}
{"prompt": "HI", "chosen": "", "rejected": "A"}
{"prompt": "HI", "chosen": "A", "rejected": ""}
{"prompt": "", "chosen": "A", "rejected": "B"}
{"prompt": [{"role": "user", "content": "1"}], "chosen": [{"role": "assistant", "content": null}], "rejected": "B"}
{"chosen": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "A"}], "rejected": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "A"}]}
{"chosen": "\n\nAssistant: A", "rejected": "\n\nAssistant: A"}
)");
  EXPECT_EQ(texts_of(set), Texts({"HI > A$ > B$"}));
  EXPECT_EQ(set.rows, 8);
  EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{
                             {"equal_answers", 3}, {"empty_answer", 3}, {"empty_prompt", 1}}));
  EXPECT_EQ(said_,
            "of 8 rows these were left out: 3 empty_answer, 1 empty_prompt, 3 equal_answers\n");
}

TEST_F(Examples, WithoutAnAnswerAreCounted) {
  const std::string good = R"({"prompt": "HI", "completion": "YO"})";
  const std::string none = R"({"messages": [{"role": "user", "content": "HI"}]})";
  EXPECT_EQ(read(good + none).skipped, (std::map<std::string, int64_t>{{"empty_answer", 1}}));
  options_.encoder = true;
  EXPECT_EQ(read(good + none).skipped, (std::map<std::string, int64_t>{{"empty_answer", 1}}));
}

// A tokenizer of words without an unknown token.
TEST_F(Examples, OfTextThatCannotBeEncodedAreCounted) {
  folder_.write("tokenizer.json",
                R"({"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
    "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "vocab": {"A": 0, "B": 1}, "merges": []}})");
  const ExampleSet set = read(R"({"prompt": "A", "completion": "B"}
{"prompt": "A", "completion": "C"}
{"prompt": "ß", "completion": "B"})");
  EXPECT_EQ(set.examples.size(), 1U);
  EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{{"not_encodable", 2}}));
  EXPECT_NE(said_.find("left out, as others for the same reason: [" +
                       (folder_ / "rows.jsonl").string() + ":2]"),
            std::string::npos)
      << said_;
}

TEST_F(Examples, ComeFromCompressedFilesAndArrays) {
  const std::string lines = R"({"prompt": "HI", "completion": "A"}
{"prompt": "HI", "completion": "B"}
)";
  const std::string array =
      "[\n  {\"prompt\": \"HI\", \"completion\": \"A\"},\n  {\"prompt\": \"HI\",\n   "
      "\"completion\": \"B\"}\n]\n";
  const Texts want = {"HI > A$", "HI > B$"};
  std::set<std::string> hashes;
  for (const std::string& content :
       {lines, gzip_packed(lines), zstd_packed(lines), array, gzip_packed(array)}) {
    const ExampleSet set = read(content, "rows");
    EXPECT_EQ(texts_of(set), want);
    hashes.insert(set.hash);
  }
  EXPECT_EQ(hashes.size(), 5U);  // of the files as they are
  const ExampleSet set = read(array, "rows.json");
  EXPECT_EQ(set.examples[1].place, (folder_ / "rows.json").string() + ":3");
  const std::string a = folder_.write("a", lines).string(), b = folder_.write("b", array).string();
  EXPECT_EQ(texts_of(read_examples({a, b}, options_)),
            Texts({"HI > A$", "HI > B$", "HI > A$", "HI > B$"}));
  options_.rows = 3;
  EXPECT_EQ(texts_of(read_examples({a, b}, options_)), Texts({"HI > A$", "HI > B$", "HI > A$"}));
}

TEST_F(Examples, AreTheSameWithAnyNumberOfThreads) {
  std::string rows;
  for (int i = 0; i < 3000; ++i)
    rows +=
        fmt::format("{{\"prompt\": \"P{}\", \"completion\": \"{}\"}}\n", i, i % 7 == 0 ? "" : "C");
  std::vector<int64_t> progress;
  const std::string file = folder_.write("many", rows).string();
  const ExampleSet set =
      read_examples({file}, options_, {}, [&](int64_t count) { progress.push_back(count); });
  EXPECT_EQ(set.examples.size(), 3000U - 429U);
  EXPECT_EQ(set.skipped.at("empty_answer"), 429);
  EXPECT_EQ(progress, (std::vector<int64_t>{1024, 2048, 3000}));
  int64_t next = 0;
  for (const Example& example : set.examples) {
    if (next % 7 == 0) ++next;
    EXPECT_EQ(text_of(example), fmt::format("P{} > C$", next++));
  }
  EXPECT_EQ(error_text([&] {
              read_examples({file}, options_, {},
                            [](int64_t) { fail(ErrorKind::kUsage, "here", "stopped"); });
            }),
            "[here] stopped");
}

// Packs: nothing is lost or doubled, nothing is longer than a sequence, and no two packs could be one.
TEST(PackExamples, FillsSequences) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Rng rng(seed);
    const auto seq_len = static_cast<int64_t>(8 + rng.below(0, 60));
    std::vector<Example> examples(1 + rng.below(1, 200));
    int64_t total = 0;
    for (size_t i = 0; i < examples.size(); ++i) {
      const auto length =
          static_cast<int64_t>(2 + rng.below(2 + i, static_cast<uint64_t>(seq_len - 1)));
      examples[i].prompt.assign(1, 1);
      examples[i].answers.push_back(
          {.ids = std::vector<int32_t>(static_cast<size_t>(length - 1), 2), .trained = {}});
      total += length;
    }
    const std::vector<Pack> packs = pack_examples(examples, seq_len);
    std::vector<int64_t> lengths;
    std::vector<const Example*> all;
    for (const Pack& pack : packs) {
      int64_t length = 0;
      for (const Example* e : pack) length += std::ssize(e->prompt) + std::ssize(e->answers[0].ids);
      EXPECT_LE(length, seq_len);
      EXPECT_TRUE(std::ranges::is_sorted(pack));
      lengths.push_back(length);
      all.insert(all.end(), pack.begin(), pack.end());
    }
    EXPECT_TRUE(std::ranges::is_sorted(packs, {}, [](const Pack& pack) { return pack.front(); }));
    std::ranges::sort(all);
    ASSERT_EQ(all.size(), examples.size());
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], &examples[i]);
    std::ranges::sort(lengths);
    if (lengths.size() > 1) {
      EXPECT_GT(lengths[0] + lengths[1], seq_len);
    }
    // Best fit decreasing is within 11/9 of the best, plus 4.
    EXPECT_LE(std::ssize(packs), (total + seq_len - 1) / seq_len * 3 / 2 + 4);
    EXPECT_EQ(pack_examples(examples, seq_len), packs);
  }
}

}  // namespace
}  // namespace lathe::testing
