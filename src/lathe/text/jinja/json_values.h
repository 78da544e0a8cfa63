// Values from JSON and back.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

Value from_json(Heap& heap, const nlohmann::ordered_json& json, int depth = 0);
// Faults for what JSON does not have.
nlohmann::ordered_json to_json(Heap& heap, const Value& value, int depth = 0);

}  // namespace lathe::jinja
