#include "lathe/base/catalogue.h"

#include "lathe/base/strings.h"

namespace lathe {

void fail_unknown_name(ErrorKind kind, std::string_view key, std::string_view name,
                       std::span<const std::string> known) {
  fail(kind, key, "unknown name '{}'.{} Known: {}", name, did_you_mean(name, known),
       join(known, ", "));
}

}  // namespace lathe
