#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/model/folder.h"

namespace lathe::fuzz {

void check(std::string_view bytes) {
  static const TempFolder folder;
  folder.write("config.json", bytes);
  read_model_config(folder.path());
}

}  // namespace lathe::fuzz
