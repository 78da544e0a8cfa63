// A model folder with pytorch_model.bin is the same model as with safetensors.

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "model/grid.h"
#include "paths.h"

namespace lathe::testing {
namespace {

namespace fs = std::filesystem;

TEST(TorchFolder, LoadsAsTheSafetensorsDo) {
  const fs::path tests = tests_folder(), llama = tests / "model" / "goldens" / "llama" / "model";
  const TempFolder folder;
  fs::copy(llama / "config.json", folder / "config.json");
  EXPECT_NE(error_text([&] { load_model(folder.path(), {}); }).find("has no weights"),
            std::string::npos);
  fs::copy(tests / "io" / "goldens" / "llama.bin", folder / "pytorch_model.bin");
  const auto want = load_model(llama, {}), got = load_model(folder.path(), {});
  EXPECT_EQ(logits_of(*got, some_ids(2, 7)).to_vector(),
            logits_of(*want, some_ids(2, 7)).to_vector());
  for (const auto& [model, name] : {std::pair{want.get(), "want"}, {got.get(), "got"}}) {
    fs::create_directories(folder / name);
    save_model(*model, folder / name, {});
  }
  EXPECT_TRUE(content_of(folder / "got/model.safetensors") ==
              content_of(folder / "want/model.safetensors"));
  folder.write("pytorch_model.bin", "damaged");
  EXPECT_NE(error_text([&] { load_model(folder.path(), {}); }).find("pytorch_model.bin"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
