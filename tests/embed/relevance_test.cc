// Texts ranked by a cross-encoder, by cosine and by likelihood.
#include "lathe/embed/relevance.h"

#include <cmath>
#include <numeric>

#include "cli/letters_model.h"
#include "embed/embed_goldens.h"
#include "lathe/infer/text_likelihood.h"
#include "lathe/model/folder.h"
#include "lathe/model/model_pass.h"

namespace lathe::testing {
namespace {

struct Loaded {
  explicit Loaded(const fs::path& path)
      : tokenizer(load_tokenizer(path.string())),
        model(load_for_inference(path.string(), DType::kF32)) {}
  Tokenizer tokenizer;
  std::unique_ptr<Transformer> model;
};

// The texts of the golden pairs.
std::vector<std::pair<std::string, std::string>> pairs() {
  const Json file = read_json_file(embed_goldens() / "texts.json");
  std::vector<std::pair<std::string, std::string>> out;
  for (const Json& pair : file["pairs"])
    out.emplace_back(file["texts"][pair[0].get<size_t>()], file["texts"][pair[1].get<size_t>()]);
  return out;
}

TEST(Pairs, AreThoseOfTransformers) {
  const Tokenizer tokenizer = load_tokenizer((embed_goldens() / "cross").string());
  const PairEncoder encoder(tokenizer);
  const auto all = pairs();
  for (size_t i = 0; i < all.size(); ++i) {
    const TextPair pair = encoder.encode(all[i].first, all[i].second);
    EXPECT_EQ(pair.ids, expected_ids(fmt::format("pair_ids.{}", i)));
    EXPECT_EQ(pair.types, expected_ids(fmt::format("pair_types.{}", i)));
  }
}

// A tokenizer with another post-processor.
Tokenizer with_post_processor(const Json& post) {
  Json file = read_json_file(embed_goldens() / "cross" / "tokenizer.json");
  file["post_processor"] = post;
  return Tokenizer::from_json(file.dump(), "test");
}

TEST(Pairs, OfOtherPostProcessors) {
  const auto pair_of = [](const Json& post) {
    const Tokenizer tokenizer = with_post_processor(post);
    return PairEncoder(tokenizer).encode("a", "tea");
  };
  const std::vector<int32_t> a = with_post_processor(nullptr).encode("a"),
                             tea = with_post_processor(nullptr).encode("tea");
  ASSERT_EQ(a.size(), 1u);
  ASSERT_EQ(tea.size(), 1u);
  const TextPair none = pair_of(nullptr);
  EXPECT_EQ(none.ids, (std::vector{a[0], tea[0]}));
  EXPECT_EQ(none.types, (std::vector{0, 1}));
  const Json ends = {{"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}};
  Json bert = ends, roberta = ends;
  bert["type"] = "BertProcessing";
  roberta["type"] = "RobertaProcessing";
  const TextPair by_bert = pair_of(bert), by_roberta = pair_of(roberta);
  EXPECT_EQ(by_bert.ids, (std::vector{2, a[0], 3, tea[0], 3}));
  EXPECT_EQ(by_bert.types, (std::vector{0, 0, 0, 1, 1}));
  EXPECT_EQ(by_roberta.ids, (std::vector{2, a[0], 3, 3, tea[0], 3}));
  EXPECT_EQ(by_roberta.types, (std::vector<int32_t>(6, 0)));
}

TEST(Pairs, ADamagedTemplateIsRefused) {
  const auto said = [](const Json& pair) {
    return error_text([&] {
      const Tokenizer tokenizer = with_post_processor({{"type", "TemplateProcessing"},
                                                       {"single", Json::array()},
                                                       {"pair", pair},
                                                       {"special_tokens", Json::object()}});
      PairEncoder{tokenizer};
    });
  };
  const auto text = [](const char* id) { return Json{{"Sequence", {{"id", id}, {"type_id", 0}}}}; };
  EXPECT_NE(said(Json::array({text("A")})).find("each of the texts A and B once"),
            std::string::npos);
  EXPECT_NE(said(Json::array({text("A"), text("C")})).find("the text 'C'"), std::string::npos);
  EXPECT_NE(said(Json::array({{{"SpecialToken", {{"id", "[X]"}, {"type_id", 0}}}}})).find("[X]"),
            std::string::npos);
  EXPECT_NE(said(Json::array({7})).find("no object"), std::string::npos);
  EXPECT_NE(said(nullptr).find("pair"), std::string::npos);
}

TEST(Relevance, ACrossEncoderGivesWhatTransformersGives) {
  const Loaded loaded(embed_goldens() / "cross");
  const Relevance relevance(*loaded.model, loaded.tokenizer, nullptr);
  EXPECT_EQ(relevance.kind(), Relevance::Kind::kPair);
  const auto all = pairs();
  const auto logits = expected("pair_logits").to_vector();
  for (size_t i = 0; i < all.size(); ++i) {
    const auto got = relevance.of(all[i].first, std::span(&all[i].second, 1), 40);
    EXPECT_NEAR(got.of_texts.at(0), 1 / (1 + std::exp(-logits[i])), 1e-5) << i;
    EXPECT_EQ(got.tokens, std::ssize(expected_ids(fmt::format("pair_ids.{}", i))));
  }
}

TEST(Relevance, AScoreDoesNotDependOnTheOtherTexts) {
  const Loaded loaded(embed_goldens() / "cross");
  const Relevance relevance(*loaded.model, loaded.tokenizer, nullptr);
  const auto texts = golden_texts();
  const auto together = relevance.of("a watch", texts, 40).of_texts;
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(relevance.of("a watch", std::span(&texts[i], 1), 40).of_texts.at(0), together[i]);
}

TEST(Relevance, AnEncoderGivesTheCosine) {
  const Loaded loaded(embed_goldens() / "sentence");
  const SentenceEncoder encoder(
      *loaded.model, loaded.tokenizer,
      read_sentence_config(embed_goldens() / "sentence", loaded.model->config()));
  const Relevance relevance(*loaded.model, loaded.tokenizer, &encoder);
  EXPECT_EQ(relevance.kind(), Relevance::Kind::kCosine);
  const auto texts = golden_texts();
  const auto got = relevance.of(texts[1], texts, 40);
  const auto vectors = expected("sentence").to_vector();
  for (size_t i = 0; i < texts.size(); ++i) {
    const double cosine = std::inner_product(vectors.begin() + 8, vectors.begin() + 16,
                                             vectors.begin() + static_cast<ptrdiff_t>(8 * i), 0.0);
    EXPECT_NEAR(got.of_texts[i], cosine, 1e-4) << i;
  }
}

TEST(Relevance, ALanguageModelGivesTheMeanLogProbabilityOfTheQuery) {
  const TempFolder folder;
  make_letters_model(folder / "letters");
  const Loaded loaded(folder / "letters");
  const SentenceEncoder encoder(*loaded.model, loaded.tokenizer, {});
  const Relevance relevance(*loaded.model, loaded.tokenizer, &encoder);
  EXPECT_EQ(relevance.kind(), Relevance::Kind::kLikelihood);
  const std::vector<std::string> texts = {"abc", "de fg"};
  const auto got = relevance.of("cab", texts, 30);
  EXPECT_EQ(got.tokens, 6 + 8);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<int32_t> ids = loaded.tokenizer.encode(texts[i] + "cab");
    const int64_t vocabulary = loaded.model->config().vocab_size;
    ModelPass pass(*loaded.model, {});
    const auto logits = pass.logits(pass.hidden({.rows = Rows::of(IdRows{ids})})).value.to_vector();
    double sum = 0;
    for (size_t t = texts[i].size(); t < ids.size(); ++t) {
      const auto row = logits.begin() + static_cast<ptrdiff_t>(t - 1) * vocabulary;
      const double all = std::accumulate(row, row + vocabulary, 0.0,
                                         [](double s, double x) { return s + std::exp(x); });
      sum += row[ids[t]] - std::log(all);
    }
    EXPECT_NEAR(got.of_texts[i], sum / 3, 1e-4);
  }
}

TEST(Relevance, NothingIsCutOrEmpty) {
  const Loaded loaded(embed_goldens() / "cross");
  const Relevance relevance(*loaded.model, loaded.tokenizer, nullptr);
  const std::vector<std::string> texts = {"tea", "the rabbit was late for the tea"};
  const auto said = [&](std::string_view query, std::span<const std::string> given, int64_t most) {
    return error_text([&] { relevance.of(query, given, most); });
  };
  EXPECT_NE(said("a watch", texts, 8).find("text 1 has 12 tokens together with the query"),
            std::string::npos)
      << said("a watch", texts, 8);
  EXPECT_NE(said("", texts, 40).find("query is empty"), std::string::npos);
  EXPECT_NE(said("x", std::vector<std::string>{"a", ""}, 40).find("text 1 is empty"),
            std::string::npos);
}

TEST(Relevance, SaysWhichModelsRankNothing) {
  const Loaded tokens(embed_goldens() / "token_classes");
  EXPECT_NE(
      error_text([&] { Relevance(*tokens.model, tokens.tokenizer, nullptr); }).find("3 scores"),
      std::string::npos);
}

// What is written of classifiers and of models without a head is what was read.
TEST(BertFolders, ComeBackAsTheyWere) {
  for (const char* name : {"sentence", "cross", "token_classes"}) {
    const fs::path from = embed_goldens() / name;
    const auto model = load_model(from, {});
    const TempFolder folder;
    save_model(*model, folder.path(), {});
    EXPECT_EQ(read_json_file(folder / "config.json")["architectures"],
              read_json_file(from / "config.json")["architectures"]);
    EXPECT_EQ(read_json_file(folder / "config.json")["model_type"], "bert");
    const auto again = load_model(folder.path(), {});
    ASSERT_EQ(again->parameters().size(), model->parameters().size());
    for (size_t i = 0; i < model->parameters().size(); ++i)
      EXPECT_EQ(again->parameters()[i]->value.tensor().to_vector(),
                model->parameters()[i]->value.tensor().to_vector());
  }
}

TEST(BertFolders, ScoresOfTokensAreThoseOfTransformers) {
  const auto model = load_model(embed_goldens() / "token_classes", {});
  ModelPass pass(*model, {});
  const Var hidden = pass.hidden({.rows = Rows::of(IdRows{expected_ids("ids.0")})});
  expect_near(model->scores({}, hidden).value, expected("token_scores"), 1e-4);
}

}  // namespace
}  // namespace lathe::testing
