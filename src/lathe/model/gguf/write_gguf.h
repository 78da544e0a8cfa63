// Writes a model as a GGUF file that llama.cpp loads and that means the same there: the names, keys
// and row orders of its converter.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/model/gguf/error_feedback.h"
#include "lathe/model/gguf/importance.h"
#include "lathe/model/gguf/tensor_types.h"
#include "lathe/model/transformer.h"

namespace lathe {

struct WriteGgufOptions {
  TypeChoice types;
  // The model's own folder or GGUF file: where its tokenizer, chat template and name come from.
  std::filesystem::path from;
  // Tensors that are missing here are rounded without.
  const Importances* importances = nullptr;
  // Of the model: matrices in it are rounded with error feedback where that makes the error of their
  // outputs smaller.
  InputMoments* moments = nullptr;
  Log log = {};  // one warning with what llama.cpp's tokenizer leaves out
  // Called after each tensor with the elements that are done. May throw: nothing is written then.
  std::function<void(int64_t done)> progress = {};
};

struct WrittenTensor {
  std::string name;
  const BlockType* type;
  int64_t elements;
  double rmse;  // sqrt(mean((decoded - original)²))
  bool is_fallback;
  bool has_feedback = false;
};

// The file is replaced atomically. Errors: kConfig for a model that GGUF cannot express; kData,
// naming tensor and element, for weights that are not finite or that a type cannot hold.
std::vector<WrittenTensor> write_gguf(Transformer& model, const std::filesystem::path& path,
                                      const WriteGgufOptions& options);

// The size that the file would have; nothing is written.
int64_t planned_gguf_bytes(Transformer& model, const std::filesystem::path& path,
                           const WriteGgufOptions& options);

}  // namespace lathe
