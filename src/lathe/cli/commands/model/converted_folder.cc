#include "lathe/cli/commands/model/converted_folder.h"

#include <nlohmann/json.hpp>

#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/model/folder.h"
#include "lathe/model/gguf/gguf_model.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// The type that the folder says its weights have; float32 when it says nothing known, and of a GGUF
// file, whose tensors differ.
DType dtype_on_disk(const fs::path& folder) {
  if (is_gguf_file(folder)) return DType::kF32;
  const Json json = read_json_file(folder / "config.json");
  for (const char* key : {"dtype", "torch_dtype"})
    for (const DType dtype : {DType::kBF16, DType::kF16})
      if (json.contains(key) && json[key] == name_of(dtype)) return dtype;
  return DType::kF32;
}

}  // namespace

void write_converted_model(Transformer& model, const NewTokenizer* tokenizer,
                           const ConvertedFolder& options, const fs::path& folder) {
  const SaveOptions saving = {.dtype = options.dtype.value_or(dtype_on_disk(options.from)),
                              .shard_bytes = options.shard_bytes,
                              .like = options.from};
  ModelFiles files = model_files(model, saving);
  if (tokenizer != nullptr) tokenizer->put_into(files, model.config());
  for (const auto& [name, text] : files) write_file_atomically(folder / name, text);
  save_weights(model, folder, saving);
}

}  // namespace lathe
