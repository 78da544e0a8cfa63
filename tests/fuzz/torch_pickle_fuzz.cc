#include "fuzz/fuzz.h"
#include "io/torch_testing.h"
#include "lathe/io/torch_pickle.h"

namespace lathe::fuzz {

// What comes of an accepted pickle keeps to its contract.
void check(std::string_view bytes) {
  for (const TorchView& v : parse_torch_pickle(bytes, "f")) {
    promise(v.shape.size() == v.strides.size() && v.offset >= 0);
    for (const int64_t n : v.shape) promise(n >= 0);
  }
}

std::vector<Seed> seeds() {
  const std::string metadata = "\x80\x02" + testing::pickle_global("collections", "OrderedDict") +
                               ")R}" + testing::pickle_text("_metadata") + "q\1]K\1asb.";
  return {{"two", testing::strided_pickle()},
          {"parameter", testing::parameter_pickle()},
          {"metadata", metadata}};
}

}  // namespace lathe::fuzz
