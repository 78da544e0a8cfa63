// lathe generate, export and logits on the tiny models of tests/model/goldens.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "paths.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class GenerateCommand : public ::testing::Test {
 protected:
  // A golden's model folder with `patch` laid over its config.json.
  fs::path model(const std::string& golden, const char* patch = "{}") {
    const fs::path from = testing::tests_folder() / "model" / "goldens" / golden / "model";
    const fs::path to = folder_ / ("model-" + std::to_string(count_++));
    fs::copy(from, to);
    Json json = read_json_file(to / "config.json");
    json.merge_patch(Json::parse(patch));
    write_json_file(to / "config.json", json);
    return to;
  }
  CommandResult generate(const fs::path& path, const char* ids,
                         const std::vector<std::string>& options = {}) {
    folder_.write("in.json", std::string("{\"input_ids\": [") + ids + "]}");
    std::vector<std::string> line = {
        "generate",      path.string(), "--input", (folder_ / "in.json").string(),
        "--temperature", "0",           "--json"};
    line.insert(line.end(), options.begin(), options.end());
    return run_lathe(line);
  }
  static std::vector<int64_t> ids_of(const CommandResult& r) {
    if (r.code != 0) return {};
    return Json::parse(r.out)["output_ids"][0].get<std::vector<int64_t>>();
  }

  TempFolder folder_;
  int count_ = 0;
};

// A vocabulary of single characters: the answer is spelled out, then ends.
TEST_F(GenerateCommand, AnAnswerFitsWhatItMust) {
  const fs::path gpt2 = model("gpt2", R"({"eos_token_id": 9})");
  folder_.write(gpt2.filename().string() + "/tokenizer.json", R"({"pre_tokenizer": null, "decoder":
{"type": "Fuse"}, "model": {"type": "BPE", "merges": [], "vocab": {"a": 0, "b": 1, "c": 2, "1": 3,
"2": 4, "{": 5, "}": 6, "\"": 7, ":": 8}}, "added_tokens": [{"id": 9, "content": "<end>",
"single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}]})");
  const auto answer = [&](const std::vector<std::string>& options) {
    std::vector<std::string> line = {"generate", gpt2.string(),      "--prompt", "ab",
                                     "--json",   "--temperature",    "1.5",      "--seed",
                                     "4",        "--max-new-tokens", "12"};
    line.insert(line.end(), options.begin(), options.end());
    const CommandResult r = run_lathe(line);
    return r.code == 0 ? Json::parse(r.out)["text"].get<std::string>() : r.err;
  };
  EXPECT_EQ(answer({"--choice", "cab", "--choice", "cab1"}).substr(0, 3), "cab");
  EXPECT_EQ(answer({"--regex", "(12){3}"}), "121212");
  for (const char* choice : {"c", "cab1"})  // its end is forced
    EXPECT_EQ(answer({"--choice", choice, "--choice", "b2", "--draft", gpt2.string()}),
              answer({"--choice", choice, "--choice", "b2"}));
  const CommandResult nothing = run_lathe(
      {"generate", gpt2.string(), "--prompt", "ab", "--choice", "c", "--max-new-tokens", "0"});
  EXPECT_EQ(nothing.code, 0) << nothing.err;
  folder_.write("s.json", R"({"type": "object", "properties": {"a": {"const": 1}},
                              "required": ["a"], "additionalProperties": false})");
  EXPECT_EQ(answer({"--json-schema", (folder_ / "s.json").string()}), "{\"a\":1}");
  folder_.write("g.gbnf", "root ::= \"b\" [12] \"c\"");
  const std::string fits = answer({"--grammar", (folder_ / "g.gbnf").string()});
  EXPECT_TRUE(fits == "b1c" || fits == "b2c") << fits;
  EXPECT_NE(answer({"--regex", "a", "--choice", "b"}).find("2 are given"), std::string::npos);
  EXPECT_NE(answer({"--regex", "("}).find("is not closed"), std::string::npos);
  EXPECT_NE(generate(gpt2, "[1]", {"--regex", "a"}).err.find("need --prompt"), std::string::npos);
}

TEST_F(GenerateCommand, GuessesChangeNoTokenAndAreReported) {
  const fs::path llama = model("llama");
  const auto run = [&](const std::vector<std::string>& options) {
    std::vector<std::string> all = {"--temperature",    "1.2", "--seed", "3", "--ignore-eos",
                                    "--max-new-tokens", "20"};
    all.insert(all.end(), options.begin(), options.end());
    return generate(llama, "[1, 2, 1, 2, 1], [3, 4, 3, 4]", all);
  };
  const CommandResult plain = run({});
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_EQ(Json::parse(plain.out)["finish_reasons"], Json({"length", "length"}));
  for (const std::vector<std::string>& way : std::vector<std::vector<std::string>>{
           {"--speculate", "lookup"}, {"--speculate", "ngram"}, {"--draft", llama.string()}}) {
    const CommandResult r = run(way);
    EXPECT_EQ(r.out, plain.out) << r.err;
    EXPECT_NE(r.err.find("guesses were right"), std::string::npos) << r.err;
  }
}

TEST_F(GenerateCommand, BeamsAreTheSameWithADrafter) {
  const fs::path llama = model("llama");
  const auto run = [&](const std::vector<std::string>& options) {
    std::vector<std::string> all = {"--num-beams", "3", "--ignore-eos", "--max-new-tokens", "8"};
    all.insert(all.end(), options.begin(), options.end());
    return generate(llama, "[1, 2, 3, 4, 1, 2, 3, 4]", all).out;
  };
  const std::string plain = run({});
  EXPECT_NE(plain.find("length"), std::string::npos);
  EXPECT_EQ(run({"--speculate", "lookup"}), plain);
  EXPECT_EQ(run({"--draft", llama.string()}), plain);
}

TEST_F(GenerateCommand, NoTokensAreAnAnswer) {
  const CommandResult r = generate(model("llama"), "[1, 2], [3]", {"--max-new-tokens", "0"});
  EXPECT_EQ(Json::parse(r.out),
            Json::parse(R"({"output_ids": [[], []], "finish_reasons": ["length", "length"]})"));
}

TEST_F(GenerateCommand, OptionsWithoutEffectAreRefused) {
  for (const char* option :
       {"--context-keep", "--draft-tokens", "--steering-scale", "--steering-layers"}) {
    const CommandResult r = generate(model("llama"), "[1, 2]", {option, "3"});
    EXPECT_NE(r.code, 0) << option;
    EXPECT_NE(r.err.find("has no effect without"), std::string::npos) << r.err;
  }
}

// Beams and contrastive search draw nothing, one text has no groups.
TEST_F(GenerateCommand, OptionsOfOtherWaysToSearchAreRefused) {
  const fs::path llama = model("llama");
  const auto refused = [&](const std::vector<std::string>& options, const std::string& why) {
    std::vector<std::string> line = {"generate", llama.string(), "--input",
                                     folder_.write("in.json", R"({"input_ids": [1, 2]})").string()};
    line.insert(line.end(), options.begin(), options.end());
    const CommandResult r = run_lathe(line);
    EXPECT_NE(r.code, 0) << options[0];
    EXPECT_NE(r.err.find(why), std::string::npos) << why << "\n" << r.err;
  };
  const std::vector<std::vector<std::string>> draws = {
      {"--temperature", "0.7"},  {"--top-p", "0.5"},  {"--min-p", "0.1"},    {"--seed", "3"},
      {"--dynatemp-range", "1"}, {"--mirostat", "2"}, {"--top-n-sigma", "1"}};
  for (std::vector<std::string> draw : draws) {
    std::vector<std::string> other = draw;
    draw.insert(draw.end(), {"--num-beams", "2"});
    refused(draw, "[" + draw[0] + "] has no effect on beam search (--num-beams), which draws");
    other.insert(other.end(), {"--penalty-alpha", "0.5", "--top-k", "3"});
    refused(other, "[" + draw[0] + "] has no effect on contrastive search (--penalty-alpha)");
  }
  refused({"--num-beams", "2", "--top-k", "4"}, "[--top-k] has no effect on beam search");
  for (const auto& of_beams : std::vector<std::vector<std::string>>{{"--num-beam-groups", "2"},
                                                                    {"--length-penalty", "2"},
                                                                    {"--diversity-penalty", "1"},
                                                                    {"--early-stopping"}})
    refused(of_beams, "[" + of_beams[0] + "] has no effect without beams; set --num-beams");
  refused({"--eos-token-id", "29"}, "[--eos-token-id] 29 is outside the vocabulary of 29");
  // Told once where, not twice.
  refused({"--num-beams", "4", "--num-beam-groups", "3"},
          "[num_beams] 4 beams cannot be parted into 3 equal groups");
}

// How the folder would draw is left out, as transformers does it.
TEST_F(GenerateCommand, ASearchLeavesTheFoldersDrawsOut) {
  const fs::path llama = model("llama");
  const auto run = [&](const std::vector<std::string>& options) {
    return generate(llama, "[1, 2, 3]", options);
  };
  const std::vector<std::string> beams = {"--num-beams", "3", "--max-new-tokens", "6"},
                                 contrast = {"--penalty-alpha",  "0.6", "--top-k", "3",
                                             "--max-new-tokens", "6"};
  const CommandResult of_beams = run(beams), of_contrast = run(contrast);
  EXPECT_EQ(of_beams.code + of_contrast.code, 0) << of_beams.err << of_contrast.err;
  write_json_file(llama / "generation_config.json",
                  {{"do_sample", true}, {"temperature", 0.6}, {"top_p", 0.9}, {"top_k", 3}});
  EXPECT_EQ(run(beams).out, of_beams.out);
  EXPECT_EQ(run(contrast).out, of_contrast.out);
  EXPECT_EQ(run({"--penalty-alpha", "0.6", "--max-new-tokens", "6"}).out, of_contrast.out);
}

TEST_F(GenerateCommand, StreamsBeyondThePositions) {
  const fs::path llama = model("llama");
  const std::vector<std::string> far = {"--max-new-tokens", "300", "--ignore-eos"};
  const auto with = [&](const std::vector<std::string>& options) {
    std::vector<std::string> all = far;
    all.insert(all.end(), options.begin(), options.end());
    return all;
  };
  const CommandResult r =
      generate(llama, "[1, 2, 3], [4, 5]", with({"--stream-window", "6", "--stream-sinks", "2"}));
  EXPECT_EQ(ids_of(r).size(), 300u) << r.err;
  // One that is never full is none.
  EXPECT_EQ(generate(llama, "[1, 2, 3]", with({"--stream-window", "400"})).out,
            generate(llama, "[1, 2, 3]", far).out);
  const auto refused = [&](const fs::path& path, const std::vector<std::string>& options,
                           const std::string& why) {
    const CommandResult wrong = generate(path, "[1, 2]", options);
    EXPECT_NE(wrong.code, 0);
    EXPECT_NE(wrong.err.find(why), std::string::npos) << wrong.err;
  };
  refused(llama, {"--stream-sinks", "2"}, "[--stream-sinks] has no effect without --stream-window");
  refused(model("gpt2"), {"--stream-window", "6"},
          "[stream_window] this model cannot stream a text: its positions (\"learned\")");
  refused(model("t5"), {"--stream-window", "6"}, "an encoder reads the whole text at once");
  refused(model("mistral"), {"--stream-window", "6"}, "has a window or a pattern of its own");
  refused(llama, {"--stream-window", "6", "--speculate", "lookup"},
          "[stream_window] a text that is streamed takes no guesses");
  refused(llama, {"--stream-window", "6", "--context-shift", "12"}, "use one of them");
}

// What the refusal of a stream advises, word by word.
TEST_F(GenerateCommand, AContextIsShiftedWhereATextCannotBeStreamed) {
  const auto with = [](std::vector<std::string> options) {
    options.insert(options.end(), {"--max-new-tokens", "40", "--ignore-eos"});
    return options;
  };
  const CommandResult refused = generate(model("gpt2"), "[1, 2]", with({"--stream-window", "6"}));
  EXPECT_NE(refused.err.find("shorten the prompt to N tokens, at most 16, and use lathe generate "
                             "--context-shift N"),
            std::string::npos)
      << refused.err;
  const std::string longest = "[1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]";
  const CommandResult shifted =
      generate(model("gpt2"), longest.c_str(), with({"--context-shift", "16"}));
  EXPECT_EQ(ids_of(shifted).size(), 40u) << shifted.err;
  const std::string longer = "[1, " + longest.substr(1);
  EXPECT_NE(generate(model("gpt2"), longer.c_str(), with({"--context-shift", "16"}))
                .err.find("shorten it to at most 16"),
            std::string::npos);
  // One without a table of positions: N is the reader's choice, and the prompt's limit, too.
  const std::string dynamic = "llama-dynamic";
  EXPECT_NE(
      generate(model(dynamic), longer.c_str(), with({"--stream-window", "6"}))
          .err.find("shorten the prompt to N tokens and use lathe generate --context-shift N"),
      std::string::npos);
  EXPECT_NE(generate(model(dynamic), longer.c_str(), with({"--context-shift", "16"}))
                .err.find("the prompt has 17 tokens, but the window has 16; shorten it"),
            std::string::npos);
  const CommandResult ended =
      generate(model(dynamic), longest.c_str(), with({"--context-shift", "16"}));
  EXPECT_EQ(ids_of(ended).size(), 40u) << ended.err;
}

TEST_F(GenerateCommand, ContrastiveSearchIsRefusedWithAdvice) {
  const auto refused = [&](const std::vector<std::string>& options, const std::string& why) {
    const CommandResult r = generate(model("llama"), "[1, 2]", options);
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(why), std::string::npos) << r.err;
  };
  refused({"--penalty-alpha", "0.6"},
          "[top_k] 0, but contrastive search (penalty_alpha) chooses among so many of the most "
          "likely tokens; set it to 2 to 256, e.g. 4");
  refused({"--penalty-alpha", "0.6", "--top-k", "1"}, "[top_k] 1, but");
  refused({"--penalty-alpha", "0.6", "--top-k", "4611686018427387905"},
          "[top_k] 4611686018427387905, but");
  refused({"--penalty-alpha", "0.6", "--top-k", "3", "--num-beams", "2"},
          "[penalty_alpha] cannot be combined with beams");
  refused({"--penalty-alpha", "0.6", "--top-k", "3", "--speculate", "lookup"},
          "[speculate] guesses cannot be checked");
  refused({"--penalty-alpha", "0.6", "--top-k", "3", "--context-shift", "16"},
          "[context_shift] cannot be combined with penalty_alpha");
}

TEST_F(GenerateCommand, ADrafterThatCannotBeIsRefusedWithAdvice) {
  const auto refused = [&](const std::vector<std::string>& options, const std::string& why) {
    const CommandResult r = generate(model("llama"), "[1, 2]", options);
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(why), std::string::npos) << r.err;
  };
  refused({"--speculate", "heads"}, "train one with them");
  refused({"--speculate", "lookup", "--draft", model("llama").string()}, "give one of them");
  refused({"--draft", model("t5").string()}, "take a plain decoder");
  refused({"--draft", model("llama-dynamic").string()}, "rotary scaling \"dynamic\"");
  const std::string larger = (folder_ / "larger").string();
  ASSERT_EQ(
      run_lathe({"convert", model("llama").string(), "--vocab-size", "50", "--out", larger}).code,
      0);
  refused({"--draft", larger},
          "its vocabulary has 50 tokens and the model's 29; give a draft that was trained with the "
          "same tokenizer, or --speculate lookup");
}

TEST_F(GenerateCommand, SearchesWithBeamsAndShiftsTheContext) {
  const fs::path gpt2 = model("gpt2");
  const CommandResult beams =
      generate(gpt2, "[1, 2, 3]", {"--num-beams", "3", "--max-new-tokens", "5", "--ignore-eos"});
  EXPECT_EQ(ids_of(beams).size(), 5u) << beams.err;
  EXPECT_NE(generate(gpt2, "[1]", {"--num-beams", "4", "--num-beam-groups", "3"})
                .err.find("equal groups"),
            std::string::npos);
  // More tokens than there are positions.
  const std::vector<std::string> long_one = {"--max-new-tokens", "200", "--ignore-eos"};
  EXPECT_NE(generate(gpt2, "[1, 2, 3]", long_one).code, 0);
  std::vector<std::string> shifted = long_one;
  shifted.insert(shifted.end(), {"--context-shift", "16", "--context-keep", "2"});
  const CommandResult r = generate(gpt2, "[1, 2, 3]", shifted);
  EXPECT_EQ(ids_of(r).size(), 200u) << r.err;
  shifted[shifted.size() - 3] = "17";
  EXPECT_NE(
      generate(gpt2, "[1, 2, 3]", shifted).err.find("16 positions were trained; ask for at most"),
      std::string::npos);
  EXPECT_EQ(ids_of(generate(model("llama"), "[1, 2, 3]",
                            {"--max-new-tokens", "1", "--context-shift", "1000000"}))
                .size(),
            1u);
}

TEST_F(GenerateCommand, SpecialTokensInAPromptCanStayText) {
  const fs::path gpt2 = model("gpt2");
  folder_.write(gpt2.filename().string() + "/tokenizer.json", R"({"pre_tokenizer": {"type":
"Whitespace"}, "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "x": 1, "<|x|>":
2}}, "added_tokens": [{"id": 2, "content": "<|x|>", "single_word": false, "lstrip": false, "rstrip":
false, "normalized": false, "special": true}]})");
  const auto written = [&](const std::vector<std::string>& options) {
    std::vector<std::string> line = {"generate", gpt2.string(),   "--prompt", "<|x|>",
                                     "--json",   "--temperature", "0",        "--ignore-eos"};
    line.insert(line.end(), options.begin(), options.end());
    return ids_of(run_lathe(line)).size();
  };
  EXPECT_EQ(written({}), written({"--no-special"}) + 2);  // "<|", "x", "|>" take two more places
  EXPECT_EQ(generate(gpt2, "[1]", {"--no-special"}).code, 2);
}

TEST_F(GenerateCommand, WritesWhatFitsWhenNobodySaidHowMuch) {
  const fs::path gpt2 = model("gpt2");
  const auto positions = read_json_file(gpt2 / "config.json")["n_positions"].get<int64_t>();
  const CommandResult r = generate(gpt2, "[1, 2, 3]", {"--ignore-eos"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(static_cast<int64_t>(ids_of(r).size()), positions - 3 + 1);
  EXPECT_NE(r.err.find(fmt::format("at most {} tokens instead of 256", positions - 2)),
            std::string::npos)
      << r.err;
  const CommandResult more = generate(gpt2, "[1, 2, 3]", {"--max-new-tokens", "1000"});
  EXPECT_NE(more.code, 0);
  EXPECT_EQ(more.out, "");
  const std::string advice = fmt::format("ask for at most {}", positions - 2);
  EXPECT_NE(more.err.find(advice), std::string::npos) << more.err;
  EXPECT_EQ(generate(gpt2, "[1, 2, 3]", {"--max-new-tokens", std::to_string(positions - 2)}).code,
            0);
}

TEST_F(GenerateCommand, ABenchmarkThatDoesNotFitSaysWhatDoes) {
  const fs::path gpt2 = model("gpt2");
  const auto bench = [&](int64_t tokens) {
    return run_lathe({"bench", "decode", gpt2.string(), "--precision", "fp32", "--new-tokens",
                      std::to_string(tokens), "--json"});
  };
  const auto positions = read_json_file(gpt2 / "config.json")["n_positions"].get<int64_t>();
  const CommandResult r = bench(1000);
  EXPECT_NE(r.err.find(fmt::format("at most {}", positions - 2)), std::string::npos) << r.err;
  EXPECT_NE(bench(positions - 1).code, 0);
}

TEST_F(GenerateCommand, EveryEndIdOfBothFilesEndsTheText) {
  const std::vector<int64_t> free =
      ids_of(generate(model("llama"), "[1, 2, 3]", {"--ignore-eos", "--max-new-tokens", "8"}));
  ASSERT_EQ(free.size(), 8u);
  const auto until = [&](std::vector<int64_t> ends) {
    const auto end = std::find_first_of(free.begin(), free.end(), ends.begin(), ends.end());
    return std::vector<int64_t>(free.begin(), end == free.end() ? end : end + 1);
  };
  const fs::path both =
      model("llama", fmt::format(R"({{"eos_token_id": [{}, {}]}})", free[6], free[3]).c_str());
  fs::remove(both / "generation_config.json");
  const auto said = [&] { return ids_of(generate(both, "[1, 2, 3]", {"--max-new-tokens", "8"})); };
  EXPECT_EQ(said(), until({free[6], free[3]}));
  write_json_file(both / "generation_config.json", {{"eos_token_id", free[2]}});
  EXPECT_EQ(said(), until({free[6], free[3], free[2]}));
  write_json_file(both / "generation_config.json", {{"eos_token_id", {free[1]}}});
  EXPECT_EQ(said(), until({free[6], free[3], free[1]}));
}

TEST_F(GenerateCommand, StopStringsEndRowsOfIdsToo) {
  const fs::path folder = model("llama");
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--ignore-eos", "--max-new-tokens", "8"});
    return generate(folder, "[1, 2, 3], [3, 2]", more);
  };
  const auto free =
      Json::parse(with({}).out).at("output_ids").get<std::vector<std::vector<int64_t>>>();
  const CommandResult refused = with({"--stop", "x"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("tokenizer"), std::string::npos) << refused.err;
  // Token i is the letter '!' + i, where that is printable.
  Json vocabulary = Json::object();
  for (int64_t id = 0; id < 90; ++id) vocabulary[std::string(1, static_cast<char>('!' + id))] = id;
  write_json_file(folder / "tokenizer.json",
                  {{"version", "1.0"},
                   {"added_tokens", Json::array()},
                   {"normalizer", nullptr},
                   {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
                   {"post_processor", nullptr},
                   {"decoder", {{"type", "ByteLevel"}}},
                   {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}}});
  int stopped = 0;
  for (size_t row = 0; row < 2; ++row) {
    const int64_t id = free[row][4];
    if (id >= 90) continue;
    const CommandResult r = with({"--stop", std::string(1, static_cast<char>('!' + id))});
    ASSERT_EQ(r.code, 0) << r.err;
    const auto ids = Json::parse(r.out).at("output_ids").get<std::vector<std::vector<int64_t>>>();
    for (size_t i = 0; i < 2; ++i) {
      const auto end = std::ranges::find(free[i], id);
      EXPECT_EQ(ids[i],
                std::vector<int64_t>(free[i].begin(), end == free[i].end() ? end : end + 1));
    }
    ++stopped;
  }
  EXPECT_GT(stopped, 0);
}

TEST_F(GenerateCommand, WarningsAreSaidOnce) {
  const fs::path path = model("llama", R"({"mystery": 1})");
  const std::string warning = "are ignored: mystery";
  for (const CommandResult& r :
       {generate(path, "[1]", {"--max-new-tokens", "1"}),
        run_lathe({"logits", path.string(), "--input", (folder_ / "in.json").string(), "--out",
                   (folder_ / "o.safetensors").string()}),
        run_lathe({"export", path.string(), "--out", (folder_ / "exported").string()}),
        run_lathe({"convert", path.string(), "--out", (folder_ / "converted").string(),
                   "--vocab-size", "90"}),
        run_lathe({"inspect", path.string()})}) {
    EXPECT_EQ(r.code, 0) << r.err;
    const size_t first = r.err.find(warning);
    EXPECT_NE(first, std::string::npos) << r.err;
    EXPECT_EQ(r.err.find(warning, first + 1), std::string::npos) << r.err;
  }
}

TEST_F(GenerateCommand, ExportKeepsWhatIsNoModel) {
  const fs::path llama = model("llama");
  folder_.write("notes/a.txt", "x");
  const CommandResult r =
      run_lathe({"export", llama.string(), "--out", (folder_ / "notes").string(), "--overwrite"});
  EXPECT_NE(r.code, 0);
  EXPECT_NE(r.err.find("'a.txt'"), std::string::npos) << r.err;
  EXPECT_EQ(content_of(folder_ / "notes/a.txt"), "x");
  EXPECT_NE(run_lathe({"export", llama.string(), "--out", llama.string(), "--overwrite"}).code, 0);
  EXPECT_TRUE(fs::exists(llama / "model.safetensors"));
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(
        run_lathe({"export", llama.string(), "--out", (folder_ / "x").string(), "--overwrite"})
            .code,
        0);
}

}  // namespace
}  // namespace lathe
