#include "lathe/text/tokenizer_facts.h"

#include <filesystem>

#include "lathe/io/json_file.h"
#include "lathe/text/format/chat_template_files.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

// transformers writes 10^30 where there is no limit.
std::optional<int64_t> length_limit(const fs::path& tokenizer_path) {
  constexpr double kNoLimit = 1e15;
  std::error_code ignored;
  const fs::path folder =
      fs::is_directory(tokenizer_path, ignored) ? tokenizer_path : tokenizer_path.parent_path();
  const fs::path file = folder / "tokenizer_config.json";
  if (!fs::exists(file, ignored)) return std::nullopt;
  const nlohmann::ordered_json config = read_json_file(file);
  const auto found = config.find("model_max_length");
  if (found == config.end() || !found->is_number()) return std::nullopt;
  const double length = found->get<double>();
  if (length < 1 || length > kNoLimit) return std::nullopt;
  return static_cast<int64_t>(length);
}

}  // namespace

TokenizerFacts read_tokenizer_facts(const std::string& tokenizer_path, const Tokenizer& tokenizer) {
  const auto names = read_chat_template_files(tokenizer_path).special_tokens;
  const auto id = [&](const char* name) -> std::optional<int32_t> {
    const auto found = names.find(name);
    return found == names.end() ? std::nullopt : tokenizer.id_of(found->get<std::string>());
  };
  return {.bos = id("bos_token"),
          .eos = id("eos_token"),
          .model_max_length = length_limit(tokenizer_path)};
}

}  // namespace lathe
