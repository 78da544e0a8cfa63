#include "lathe/io/model_files.h"

namespace lathe {
namespace {

struct NamedKind {
  std::string_view pattern;  // '*' stands for any part
  ModelFileKind kind;
};

constexpr NamedKind kFiles[] = {
    {"config.json", ModelFileKind::kConfig},
    {"generation_config.json", ModelFileKind::kConfig},
    {"model*.safetensors", ModelFileKind::kWeights},
    {"model*.safetensors.index.json", ModelFileKind::kWeights},
    {"pytorch_model*.bin", ModelFileKind::kWeights},
    {"pytorch_model*.bin.index.json", ModelFileKind::kWeights},
    {"adapter_config.json", ModelFileKind::kConfig},
    {"adapter_model.safetensors", ModelFileKind::kWeights},
    {"encoder.safetensors", ModelFileKind::kWeights},
    {"tokenizer.json", ModelFileKind::kTokenizer},
    {"tokenizer_config.json", ModelFileKind::kTokenizer},
    {"special_tokens_map.json", ModelFileKind::kTokenizer},
    {"added_tokens.json", ModelFileKind::kTokenizer},
    {"tokenizer.model", ModelFileKind::kTokenizer},
    {"spiece.model", ModelFileKind::kTokenizer},
    {"vocab.json", ModelFileKind::kTokenizer},
    {"vocab.txt", ModelFileKind::kTokenizer},
    {"merges.txt", ModelFileKind::kTokenizer},
    {"*.tiktoken", ModelFileKind::kTokenizer},
    {"chat_template.jinja", ModelFileKind::kTokenizer},
    {"chat_template.json", ModelFileKind::kTokenizer},
    {"lathe.manifest.json", ModelFileKind::kManifest},
};

bool matches(std::string_view name, std::string_view pattern) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  const std::string_view begin = pattern.substr(0, star), end = pattern.substr(star + 1);
  return name.size() >= begin.size() + end.size() && name.starts_with(begin) && name.ends_with(end);
}

}  // namespace

std::optional<ModelFileKind> model_file_kind(std::string_view name) {
  for (const NamedKind& file : kFiles)
    if (matches(name, file.pattern)) return file.kind;
  return std::nullopt;
}

}  // namespace lathe
