// The tokenizer that `lathe convert --tokenizer` gives a model: what its tokens are made of, and what
// the files of the model's folder say instead.
#pragma once

#include <filesystem>
#include <string>

#include "lathe/model/convert/conversion.h"
#include "lathe/model/folder.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

class NewTokenizer {
 public:
  // `path` is a tokenizer's folder or file. Throws kConfig for one that was not made from the
  // tokenizer of `model`, kFormat for a damaged id_map.json.
  NewTokenizer(const std::string& path, const std::filesystem::path& model);

  const TokenSources& sources() const { return sources_; }
  // Rows of the model that its own tokenizer has tokens for.
  int64_t known_tokens() const { return old_.vocab_size(); }

  // Changes `files`, which are those of a model with `config` as model_files() makes them from the
  // old folder: the tokenizer is the new one, and ids of tokens have their new numbers. What says
  // nothing of ids stays, such as the chat template, unless the new tokenizer has its own. Throws
  // kConfig for an id of a token that the new tokenizer lacks.
  void put_into(ModelFiles& files, const ModelConfig& config) const;

 private:
  std::filesystem::path path_, model_;
  Tokenizer old_, fresh_;
  TokenSources sources_;
};

}  // namespace lathe
