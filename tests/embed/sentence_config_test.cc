// The files of sentence-transformers: what they may ask for, and what damaged and hostile ones are told.
#include "lathe/embed/sentence_config.h"

#include "embed/embed_goldens.h"

namespace lathe::testing {
namespace {

SentenceConfig config_of(const SentenceFolder& folder, const Log& log = {}) {
  return read_sentence_config(folder.path(), read_model_config(folder.path()), log);
}

std::string refusal(const SentenceFolder& folder) {
  return error_text([&] { config_of(folder); });
}

void expect_refused(const SentenceFolder& folder, const std::string& said) {
  const std::string message = refusal(folder);
  EXPECT_NE(message.find(said), std::string::npos) << message;
}

TEST(SentenceConfig, IsReadAsItWasWritten) {
  const SentenceFolder folder;
  const SentenceConfig config = config_of(folder);
  EXPECT_EQ(config.poolings, (std::vector{Pooling::kCls, Pooling::kMean}));
  ASSERT_EQ(config.steps.size(), 2u);
  EXPECT_EQ(config.steps[0].weight.shape(), Shape({8, 32}));
  EXPECT_EQ(config.steps[0].activation.name(), "tanh");
  EXPECT_FALSE(config.steps[1].weight.defined());
  EXPECT_EQ(config.max_tokens, 40);
  EXPECT_TRUE(config.special_tokens && config.from_modules);
  EXPECT_EQ(config.width(16), 8);
}

TEST(SentenceConfig, PoolingsOfOlderFilesAreInOneOrder) {
  const SentenceFolder folder;
  folder.modules(
      {{"Pooling", "1_Pooling"}, {"Dropout", "2_Dropout"}, {"Normalize", "3_Normalize"}});
  folder.write("1_Pooling/config.json", {{"pooling_mode_mean_tokens", true},
                                         {"pooling_mode_max_tokens", true},
                                         {"pooling_mode_cls_token", true}});
  EXPECT_EQ(config_of(folder).poolings,
            (std::vector{Pooling::kCls, Pooling::kMax, Pooling::kMean}));
  EXPECT_EQ(config_of(folder).width(16), 48);
  folder.write("1_Pooling/config.json", Json::object());
  EXPECT_EQ(config_of(folder).poolings, std::vector{Pooling::kMean});
}

TEST(SentenceConfig, TheLengthIsThatOfTheFolderOrOfItsTokenizer) {
  const SentenceFolder folder;
  folder.change("sentence_bert_config.json", {{"max_seq_length", 12}});
  EXPECT_EQ(config_of(folder).max_tokens, 12);
  folder.change("sentence_bert_config.json", {{"max_seq_length", nullptr}});
  folder.change("tokenizer_config.json", {{"model_max_length", 1e30}});
  EXPECT_FALSE(config_of(folder).max_tokens);
}

TEST(SentenceConfig, ADefaultPromptIsToldOf) {
  const SentenceFolder folder;
  folder.write("config_sentence_transformers.json",
               {{"default_prompt_name", "query"}, {"prompts", {{"query", "search: "}}}});
  std::string said;
  config_of(folder, Log([&](LogLevel, const std::string& line) { said += line; }));
  EXPECT_NE(said.find("'query'"), std::string::npos) << said;
}

TEST(SentenceConfig, AModuleStaysInItsFolder) {
  const SentenceFolder folder;
  for (const char* path : {"../x", "1_Pooling/../../x", "/etc", ".."}) {
    folder.modules({{"Pooling", path}});
    expect_refused(folder, "expected a folder inside this one");
  }
  folder.modules({{"Pooling", "absent"}});
  expect_refused(folder, "absent");
}

TEST(SentenceConfig, OtherModulesAreRefusedByName) {
  const SentenceFolder folder;
  folder.modules({{"Pooling", "1_Pooling"}, {"LSTM", "2_LSTM"}});
  expect_refused(folder, "module 2 is a LSTM, which is not supported");
  folder.modules({{"Normalize", "1_Normalize"}});
  expect_refused(folder, "module 1 is a Normalize, expected first a Transformer, then a Pooling");
  folder.modules({{"Pooling", "1_Pooling"}, {"Pooling", "1_Pooling"}});
  expect_refused(folder, "module 2 is a Pooling");
  Json list = folder.read("modules.json");
  list[1]["type"] = "os.system";
  folder.write("modules.json", list);
  expect_refused(folder, "code of the folder's own");
  list[1]["type"] = 5;
  folder.write("modules.json", list);
  expect_refused(folder, "'type' is 5, expected a text");
  list[0]["path"] = "0_Transformer";
  folder.write("modules.json", list);
  expect_refused(folder, "move its files beside modules.json");
}

TEST(SentenceConfig, ListsOfModulesOfAnotherForm) {
  const SentenceFolder folder;
  for (const Json& list : {Json::object(), Json::array(), Json(7), Json::array({1}),
                           Json(std::vector<Json>(1000, Json::object()))}) {
    folder.write("modules.json", list);
    expect_refused(folder, "expected a list of 2 to 16 modules");
  }
  folder.write("modules.json", Json::array({1, 2}));
  expect_refused(folder, "module 0 is a number, expected an object");
}

TEST(SentenceConfig, ValuesOfAnotherTypeOrSize) {
  for (const auto& [file, keys, said] : std::vector<std::tuple<std::string, Json, std::string>>{
           {"1_Pooling/config.json",
            {{"pooling_mode", "best"}},
            "'pooling_mode' is \"best\", expected cls, max"},
           {"1_Pooling/config.json", {{"pooling_mode", 3}}, "'pooling_mode' is 3"},
           {"1_Pooling/config.json", {{"pooling_mode", Json::array()}}, "'pooling_mode' is []"},
           {"1_Pooling/config.json",
            {{"pooling_mode", nullptr}, {"pooling_mode_mean_tokens", "yes"}},
            "'pooling_mode_mean_tokens' is \"yes\", expected true or false"},
           {"1_Pooling/config.json",
            {{"pooling_mode", nullptr}, {"pooling_mode_attention", true}},
            "'pooling_mode_attention' is a pooling that Lathe does not know"},
           {"1_Pooling/config.json", {{"embedding_dimension", 17}}, "'embedding_dimension' is 17"},
           {"1_Pooling/config.json",
            {{"embedding_dimension", 18446744073709551615u}},
            "expected a whole number"},
           {"1_Pooling/config.json", {{"embedding_dimension", -4}}, "expected a whole number"},
           {"2_Dense/config.json",
            {{"in_features", 31}},
            "'in_features' is 31, but the vectors before it have 32"},
           {"2_Dense/config.json", {{"out_features", 9}}, "'linear.weight' has the shape"},
           {"2_Dense/config.json", {{"out_features", 1e9}}, "'out_features' is"},
           {"2_Dense/config.json",
            {{"activation_function", "evil.Module"}},
            "'evil.Module', which is not supported"},
           {"2_Dense/config.json",
            {{"use_residual", true}},
            "'use_residual' is true, but only false"},
           {"2_Dense/config.json",
            {{"module_input_name", "token_embeddings"}},
            "only \"sentence_embedding\""},
           {"sentence_bert_config.json", {{"max_seq_length", 0}}, "'max_seq_length' is 0"},
           {"sentence_bert_config.json", {{"max_seq_length", 1e30}}, "'max_seq_length' is 1e+30"},
           {"sentence_bert_config.json",
            {{"max_seq_length", "256"}},
            "'max_seq_length' is \"256\""},
           {"sentence_bert_config.json", {{"do_lower_case", 1}}, "'do_lower_case' is 1"},
           {"sentence_bert_config.json",
            {{"transformer_task", "fill-mask"}},
            "only \"feature-extraction\""}}) {
    const SentenceFolder folder;
    folder.change(file, keys);
    expect_refused(folder, said);
    EXPECT_NE(refusal(folder).find(file.substr(0, file.find('/'))), std::string::npos);
  }
}

TEST(SentenceConfig, TextThatIsNoJson) {
  for (const char* text : {"", "[", "{\"a\": 1, \"a\": 2}", "nul", "\xff"}) {
    const SentenceFolder folder;
    std::ofstream(folder.path() / "modules.json") << text;
    expect_refused(folder, "modules.json");
  }
}

}  // namespace
}  // namespace lathe::testing
