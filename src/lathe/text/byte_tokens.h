// The tokens <0x00> to <0xFF>, which stand for bytes of characters that have no token of their own
// (byte fallback).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lathe/text/vocabulary.h"

namespace lathe {

std::string byte_token(uint8_t byte);
// The byte that such a token stands for.
std::optional<uint8_t> byte_of_token(std::string_view token);
// By byte; -1 where the vocabulary lacks it.
std::array<int32_t, 256> byte_token_ids(const Vocabulary& vocabulary);
std::array<int32_t, 256> no_byte_tokens();

}  // namespace lathe
