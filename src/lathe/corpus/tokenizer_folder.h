// The folder in which a tokenizer is written: its files and their manifest.
#pragma once

#include <span>
#include <string>

#include "lathe/io/manifest.h"

namespace lathe {

// Throws kIo if the folder holds a tokenizer and `overwrite` is false. It is cheap, so call it
// before reading.
void refuse_existing_tokenizer(const std::string& folder, bool overwrite);

struct TokenizerFile {
  std::string name, content;
};

// Creates the folder where it is missing. Throws kIo.
void write_tokenizer_folder(const std::string& folder, std::span<const TokenizerFile> files,
                            Manifest manifest);

}  // namespace lathe
