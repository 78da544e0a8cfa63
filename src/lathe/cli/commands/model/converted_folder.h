// A converted model as a folder: what `lathe convert` and `lathe extend` write.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lathe/cli/commands/model/new_tokenizer.h"
#include "lathe/model/transformer.h"

namespace lathe {

struct ConvertedFolder {
  std::string from;            // the folder or .gguf of the model before
  std::optional<DType> dtype;  // of the weights on disk; absent: as the model before says
  int64_t shard_bytes = 0;
};

// Writes the weights and the files beside them, with the new tokenizer if there is one. Errors: kIo, and
// those of NewTokenizer::put_into().
void write_converted_model(Transformer& model, const NewTokenizer* tokenizer,
                           const ConvertedFolder& options, const std::filesystem::path& folder);

}  // namespace lathe
