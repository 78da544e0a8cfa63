// Writes small valid samples, one folder a fuzz target: write_seeds FOLDER. A fuzzer that begins with them gets past
// the first checks of a reader.
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "io/torch_testing.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/infer/sampler/generation_config.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/family.h"
#include "lathe/text/patterns.h"
#include "lathe/train/recipe.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

class Seeds {
 public:
  explicit Seeds(fs::path folder) : folder_(std::move(folder)) {}

  fs::path at(const std::string& target, const std::string& name) const {
    fs::create_directories(folder_ / target);
    return folder_ / target / name;
  }
  void put(const std::string& target, const std::string& name, std::string_view text) const {
    std::ofstream(at(target, name), std::ios::binary) << text;
  }

  void safetensors() const {
    const std::vector<std::byte> bytes(24, std::byte{7});
    const ArraySpan arrays[] = {{"a", "F32", {2, 2}, std::span(bytes).first(16)},
                                {"b", "BF16", {4}, std::span(bytes).last(8)},
                                {"none", "U8", {0, 3}, {}}};
    write_safetensors(at("safetensors", "two"), arrays, {{"format", "pt"}});
  }

  void torch_files() const {
    using namespace testing;
    const std::string two = pickle_state(
        {{}, {.name = "t", .storage = "0", .offset = 1, .shape = {2, 2}, .strides = {1, 2}}});
    const std::string parameter =
        pickle_dict(pickle_text("p") + pickle_global("torch._utils", "_rebuild_parameter") + "(" +
                    pickle_value({.type = "HalfStorage"}) + "\x88" +
                    pickle_global("collections", "OrderedDict") + ")RtR");
    const std::string metadata = "\x80\x02" + pickle_global("collections", "OrderedDict") + ")R}" +
                                 pickle_text("_metadata") + "q\1]K\1asb.";
    put("torch_file", "two", torch_file(two));
    put("torch_file", "zip64", torch_file(parameter, true));
    put("torch_pickle", "two", two);
    put("torch_pickle", "parameter", parameter);
    put("torch_pickle", "metadata", metadata);
  }

  void token_shard() const {
    const TempFolder temporary;
    for (const int64_t vocabulary : {1000, 100000}) {
      TokenShardWriter writer(temporary / "s", vocabulary);
      writer.add_document(std::vector<int32_t>{1, 2, 3});
      writer.add_document({});
      writer.add_document(std::vector<int32_t>{999});
      writer.finish();
      const std::string bin = content_of(temporary / "s.bin"),
                        idx = content_of(temporary / "s.idx");
      put("token_shard", std::to_string(vocabulary),
          std::string{static_cast<char>(bin.size() / 256), static_cast<char>(bin.size() % 256)} +
              bin + idx);
    }
  }

  void tokenizers() const {
    using testing::sample_json;
    put("tokenizer_json", "plain", sample_json({}));
    put("tokenizer_json", "pairs", sample_json({.merges_as_pairs = true}));
    put("tokenizer_json", "parts",
        sample_json({
            .added = R"([{"id": 264, "content": "<s>", "single_word": false, "lstrip": true,
"rstrip": true, "normalized": false, "special": true}])",
            .normalizer = R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]})",
            .pre_tokenizer = R"({"type": "Sequence", "pretokenizers": [{"type": "Split",
"pattern": {"Regex": "\\s?\\p{L}+|\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false},
{"type": "Digits", "individual_digits": true},
{"type": "ByteLevel", "add_prefix_space": true, "use_regex": false}]})",
            .post_processor = R"({"type": "TemplateProcessing", "single": [{"SpecialToken":
{"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
"special_tokens": {"<s>": {"id": "<s>", "ids": [264], "tokens": ["<s>"]}}})",
            .decoder = R"({"type": "Sequence", "decoders": [{"type": "ByteLevel"},
{"type": "Fuse"}]})",
        }));
    put("tiktoken", "few", "YQ== 0\nYg== 1\nYWI= 2\nIA== 3\nIGE= 4\nIGFi 5\n");
  }

  void configs() const {
    for (const Family* family : families()) {
      ModelConfig c = default_config(*family);
      c.vocab_size = 300;
      c.hidden_size = 32;
      c.num_hidden_layers = 2;
      c.num_attention_heads = 4;
      c.eos_token_id = 2;
      put("model_config", std::string(family->name), write_family_config(*family, c).dump());
    }
    put("generation_config", "sampling",
        R"({"do_sample": true, "temperature": 0.6, "top_k": 50, "top_p": 0.9, "min_p": null,
"repetition_penalty": 1.1, "eos_token_id": [2, 7], "max_new_tokens": 64, "seed": 3})");
    put("generation_config", "greedy", R"({"do_sample": false, "eos_token_id": 2})");
    Recipe recipe;
    recipe.model.vocab_size = 300;
    put("recipe", "json", "j" + write_recipe(recipe).dump());
    put("recipe", "toml",
        "t[model]\nvocab_size = 300\nhidden_size = 32\nnum_hidden_layers = 2\n"
        "num_attention_heads = 4\nnorm.kind = \"rms\"\n[data]\ntrain = ['a', \"b\"]\n"
        "[train]\nsteps = 1_000\nseq_len = 0x40\n[optim]\nlr = 3e-4\n");
    put("recipe", "override", "omodel.norm.kind=rms");
    put("recipe", "override_list", "odata.train=[\"a\", 'b']");
  }

  void texts() const {
    for (const PatternInfo& info : kPreTokenizers)
      put("regex", std::string(info.name),
          std::string(info.regex) + '\0' + "It's 2024\n  ok \xC3\xA9");
    put("regex", "parts",
        std::string(R"((?m:a.)[^\s\h&&[:alpha:]]\p{^Han}\w+?(?=b)(?<!c)|^x$)") + '\0' + "abc");
    put("documents", "jsonl", "j{\"text\": \"one\", \"n\": 1}\n\n{\"text\": \"t\\u00e9\\n\"}\n");
    put("documents", "blank_lines", "b\xEF\xBB\xBFone\r\ntwo\r\n\r\nthree\n");
    put("documents", "separator", "sone\n%\ntwo\n");
    put("documents", "whole", "fone\n");
  }

 private:
  fs::path folder_;
};

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: write_seeds FOLDER\n";
    return 2;
  }
  const lathe::Seeds seeds(argv[1]);
  seeds.safetensors();
  seeds.torch_files();
  seeds.token_shard();
  seeds.tokenizers();
  seeds.configs();
  seeds.texts();
}
