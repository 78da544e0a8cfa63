// Which model an adapter was made for.
#pragma once

#include <filesystem>
#include <string_view>

#include "lathe/base/log.h"

namespace lathe {

// Whether a folder is that of an adapter.
bool is_adapter(const std::filesystem::path& folder);

// Error kConfig, naming `key`, for an adapter that was made for another model than that of `base`. They are the
// same where adapter_config.json names this folder (base_model_name_or_path), or one whose files of weights have
// the same content. A warning where it names none that is there, of which nothing but the shapes can be compared.
// Errors: those of read_adapter_config().
void require_base(const std::filesystem::path& adapter, const std::filesystem::path& base,
                  std::string_view key, const Log& log);

}  // namespace lathe
